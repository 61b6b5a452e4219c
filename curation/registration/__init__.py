"""Rigid and affine registration: motion between the volumes of a series, and a series with another image.

The public names are those of `curation.registration.motion` and `curation.registration.coregister`.
"""
