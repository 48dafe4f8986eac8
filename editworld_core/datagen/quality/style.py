"""The style sheet of the report: warm paper, teal and amber as in the app; readable by day, by night and on a phone."""

STYLE = """
:root { color-scheme: light dark; --paper: #f7f5f0; --card: #fffefb; --ink: #1d2422; --soft: #5c6863; --line: #e2ddd1;
 --bar: #258b82; --deep: #17716b; --track: #ece8dd; --mark: #b9650a; --tint: #fbf0da; }
@media (prefers-color-scheme: dark) { :root { --paper: #121615; --card: #1a201e; --ink: #e9eeeb; --soft: #9aa8a2;
 --line: #2c3532; --bar: #47a79d; --deep: #7cc5bc; --track: #26302c; --mark: #f2b84b; --tint: #2a2415; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
 font: 16px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 64px; }
header p { margin: 4px 0 0; color: var(--soft); }
.eyebrow { font-size: .85rem; font-weight: 600; letter-spacing: .06em; text-transform: uppercase; }
header .eyebrow { color: var(--deep); }
h1 { margin: 2px 0; font-size: 2rem; line-height: 1.15; letter-spacing: -.02em; overflow-wrap: anywhere; }
h2 { margin: 44px 0 14px; font-size: 1.4rem; letter-spacing: -.01em; }
h3 { margin: 0 0 6px; font-size: 1.02rem; }
h3 small, h4 { color: var(--soft); font-weight: 500; font-size: .86rem; }
h4 { margin: 0 0 8px; font-weight: 600; }
code { font: .84em ui-monospace, Menlo, Consolas, monospace; background: var(--track); border-radius: 4px;
 padding: 1px 5px; font-weight: 400; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 22px 0; }
.tiles div, .card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.tiles div { padding: 14px 16px; display: flex; flex-direction: column; }
.tiles strong { font-size: 1.65rem; line-height: 1.2; color: var(--deep); font-variant-numeric: tabular-nums; }
.tiles span { color: var(--soft); font-size: .88rem; }
nav { display: flex; flex-wrap: wrap; gap: 6px 16px; font-size: .92rem; }
a { color: var(--deep); }
.findings { margin: 0; padding: 0; list-style: none; display: grid; gap: 8px; }
.findings li { background: var(--tint); border-left: 4px solid var(--mark); border-radius: 6px; padding: 9px 14px; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 360px), 1fr)); gap: 14px;
 align-items: start; }
.card { padding: 16px 18px; min-width: 0; }
.score { margin-bottom: 14px; }
.score > p, .note, section > p { color: var(--soft); font-size: .92rem; margin: 0 0 10px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); gap: 16px 28px;
 align-items: center; }
svg { width: 100%; max-width: 470px; height: auto; display: block; font-size: 13px; }
svg text { fill: var(--soft); }
.bar { fill: var(--bar); } .track { fill: var(--track); } .axis { stroke: var(--line); stroke-width: 1.5; }
.mark { stroke: var(--mark); stroke-width: 2; stroke-dasharray: 3 3; }
svg .mark-text { fill: var(--mark); font-weight: 600; }
.thin { stroke: var(--track); stroke-width: 8; stroke-linecap: round; }
.thick { stroke: var(--bar); stroke-width: 8; opacity: .55; stroke-linecap: round; }
.dot { fill: var(--deep); stroke: var(--card); stroke-width: 1.5; }
.big { font-size: 2.6rem; font-weight: 600; color: var(--deep); line-height: 1.1; }
.big small { display: block; font-size: .9rem; font-weight: 400; color: var(--soft); margin-top: 6px; }
details { margin-top: 12px; border-top: 1px solid var(--line); padding-top: 10px; }
summary { cursor: pointer; color: var(--deep); font-weight: 600; font-size: .92rem; }
details .note { margin: 8px 0; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); gap: 18px; }
figure { margin: 0 0 14px; } figure img { width: 100%; height: auto; display: block; border-radius: 6px; }
figcaption { font-size: .9rem; line-height: 1.35; margin-top: 5px; overflow-wrap: anywhere; }
figcaption b { color: var(--mark); font-variant-numeric: tabular-nums; }
figcaption small { display: block; color: var(--soft); font-size: .8rem; }
"""
