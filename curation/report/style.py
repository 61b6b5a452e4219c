"""The look of the page: one set of colours, light and dark, that have a contrast of at least 4.5 on their grounds."""

CSS = """
:root { color-scheme: light dark;
  --surface: #f6f8fa; --panel: #ffffff; --raised: #ffffff; --line: #d0d7de; --text: #16202a; --muted: #51606f;
  --accent: #0b6e6e; --info: #0a5cad; --done: #1a7f37; --pending: #8a5a00; --danger: #b42318; --image: #0e1318; }
@media (prefers-color-scheme: dark) { :root {
  --surface: #0e1318; --panel: #161d24; --raised: #1f2831; --line: #38434e; --text: #e6edf3; --muted: #9fb0c0;
  --accent: #4cc2c0; --info: #6cb6ff; --done: #57c964; --pending: #e3b341; --danger: #ff7b72; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--surface); color: var(--text); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif; }
header, main, footer { max-width: 1180px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.6rem; margin: 8px 0; }
h2 { font-size: 1.3rem; margin: 32px 0 8px; overflow-wrap: anywhere; }
h3 { font-size: 1.05rem; margin: 20px 0 8px; }
p, li, dd, figcaption, caption { overflow-wrap: anywhere; }
p { margin: 8px 0; max-width: 80ch; }
a { color: var(--info); }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible { outline: 2px solid var(--accent);
  outline-offset: 2px; }
dl { display: flex; flex-wrap: wrap; gap: 8px 24px; margin: 8px 0; }
dl div { min-width: 0; }
dt { color: var(--muted); font-size: 0.85rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; }
.panel { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 12px 16px;
  margin: 12px 0; }
.overview { list-style: none; padding: 0; margin: 0; }
.overview li { padding: 10px 0; border-top: 1px solid var(--line); }
.overview li:first-child { border-top: 0; }
.overview p, .verdict { margin: 4px 0; }
.mark { font-weight: 600; white-space: nowrap; }
.mark.look { color: var(--pending); }
.mark.calm { color: var(--muted); }
.muted { color: var(--muted); }
.problems li { color: var(--danger); }
.scroll { overflow-x: auto; }
figure { margin: 16px 0; break-inside: avoid; }
figure .scroll { background: var(--image); border-radius: 6px; }
img { display: block; max-width: 100%; height: auto; }
figcaption { color: var(--muted); font-size: 0.9rem; margin-top: 4px; max-width: 80ch; }
table { border-collapse: collapse; margin: 12px 0; font-size: 0.92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); padding-bottom: 4px; max-width: 80ch; caption-side: top; }
th, td { text-align: left; padding: 4px 16px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { color: var(--muted); font-weight: 600; }
tbody th { font-weight: 500; }
.numbers th[scope=row] { white-space: nowrap; }
main { padding-top: 0; }
header { padding-bottom: 0; }
main > section:first-child h2 { margin-top: 16px; }
.numbers td, .numbers thead th:not(:first-child) { text-align: right; }
details { margin: 8px 0; }
summary { cursor: pointer; color: var(--info); }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 12px; overflow-x: auto;
  font-size: 0.85rem; max-height: 480px; }
footer { color: var(--muted); border-top: 1px solid var(--line); margin-top: 32px; }
@media (max-width: 640px) {
  header, main, footer { padding-left: 12px; padding-right: 12px; }
  figure img { max-width: none; width: 760px; }
}
@media print {
  :root { color-scheme: light; --surface: #ffffff; --panel: #ffffff; --line: #d0d7de; --text: #16202a;
    --muted: #51606f; --accent: #0b6e6e; --info: #0a5cad; --done: #1a7f37; --pending: #8a5a00; --danger: #b42318; }
  body { font-size: 10pt; }
  .scroll { overflow: visible; }
  table { font-size: 8pt; width: 100%; }
  th, td { padding-right: 8px; overflow-wrap: anywhere; }
  .numbers th[scope=row] { white-space: normal; }
  figure .scroll { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  figure img { max-width: 100%; width: auto; max-height: 24cm; }
  h2, h3 { break-after: avoid; }
  tr { break-inside: avoid; }
}
"""
