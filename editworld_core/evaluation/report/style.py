"""What the page of an evaluation adds to the style sheet of the data set's report."""

from editworld_core.datagen.quality.style import STYLE as COMMON

STYLE = (
    COMMON
    + """
.table { background: var(--card); border: 1px solid var(--line); border-radius: 12px; margin: 0 0 14px;
 overflow: hidden; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
.table .caption { margin: 0; padding: 12px 14px 4px; font-weight: 600; color: var(--ink); }
.caption small { display: block; color: var(--soft); font-weight: 400; overflow-wrap: anywhere; }
th, td { padding: 6px 12px; text-align: right; white-space: nowrap; vertical-align: top; }
th { color: var(--soft); font-weight: 600; font-size: .84rem; }
.long { white-space: normal; overflow-wrap: break-word; max-width: 240px; }
tbody th, thead th.side { text-align: left; color: var(--ink); }
tbody th { font-weight: 500; }
tbody tr:nth-child(odd) { background: color-mix(in srgb, var(--track) 38%, transparent); }
thead tr:last-child th { border-bottom: 1px solid var(--line); }
thead th.group { text-align: center; border-bottom: 1px solid var(--line); }
td small { display: block; font-weight: 400; color: var(--soft); font-size: .76rem; }
td.best { color: var(--deep); font-weight: 700; }
td.ours, th.ours { background: color-mix(in srgb, var(--bar) 9%, transparent); }
.sure { color: var(--mark); font-weight: 700; }
.span { stroke: var(--bar); stroke-width: 7; opacity: .5; stroke-linecap: round; }
.span.hollow { stroke: var(--mark); opacity: .32; }
.dot.hollow { fill: var(--mark); }
.key { display: inline-flex; gap: 6px; align-items: center; margin-right: 16px; color: var(--soft); font-size: .9rem; }
.key i { width: 12px; height: 12px; border-radius: 50%; background: var(--deep); }
.key i.hollow { background: var(--mark); }
.failures { max-height: 22rem; overflow: auto; }
.controls { display: flex; flex-wrap: wrap; gap: 10px 14px; align-items: end; position: sticky; top: 0; z-index: 1;
 padding: 10px 0; background: var(--paper); }
.controls div { flex: 1 1 150px; min-width: 0; }
.controls label { display: block; font-size: .8rem; color: var(--soft); }
.controls select, .controls input { font: inherit; font-size: .95rem; color: var(--ink); background: var(--card);
 border: 1px solid var(--line); border-radius: 8px; padding: 7px 8px; width: 100%; min-width: 0; }
.controls select:focus-visible, .controls input:focus-visible, .more:focus-visible { outline: 2px solid var(--deep);
 outline-offset: 1px; }
#count { color: var(--soft); font-size: .9rem; margin: 4px 0 12px; }
.case { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px;
 margin-bottom: 14px; content-visibility: auto; contain-intrinsic-size: auto 330px; }
.case h3 { font-weight: 500; overflow-wrap: anywhere; }
.case .where { color: var(--soft); font-size: .85rem; margin: 0 0 10px; overflow-wrap: anywhere; }
.case .where b { color: var(--mark); font-variant-numeric: tabular-nums; }
.strip { display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 8px; }
.strip figure { margin: 0; } .strip img { background: var(--track); }
.strip figcaption { color: var(--soft); font-size: .8rem; margin-top: 3px; }
.strip .gap { border: 1px dashed var(--line); border-radius: 6px; display: grid; place-items: center;
 color: var(--soft); font-size: .8rem; }
.numbers { columns: 220px; column-gap: 26px; margin: 8px 0 0; padding: 0; list-style: none; font-size: .86rem; }
.numbers li { display: flex; justify-content: space-between; gap: 10px; break-inside: avoid; }
.numbers span:last-child { font-variant-numeric: tabular-nums; color: var(--deep); }
.question { white-space: pre-line; }
details > .table { margin-top: 10px; }
.said { font-size: .9rem; margin: 6px 0 0; overflow-wrap: anywhere; }
.more { font: inherit; font-weight: 600; color: var(--card); background: var(--deep); border: 0; border-radius: 10px;
 padding: 11px 22px; cursor: pointer; }
.more[hidden] { display: none; }
@media (max-width: 640px) { main { padding: 20px 14px 48px; }
 .strip { grid-template-columns: repeat(2, minmax(0, 1fr)); }
 .controls { position: static; } .controls div { flex-basis: 130px; } th, td { padding: 5px 8px; }
 tbody th { white-space: normal; min-width: 104px; overflow-wrap: break-word; } }
"""
)
