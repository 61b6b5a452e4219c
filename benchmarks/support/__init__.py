"""What benchmarks and end-to-end tests share."""
