"""How the page looks: warm paper, deep teal, amber for attention; readable by day and by night, offline fonts."""

from pathlib import Path
from typing import Any

FAVICON = Path(__file__).parent / "favicon.png"

TEAL = {
    "c50": "#eef8f6",
    "c100": "#d6eeea",
    "c200": "#aeddd6",
    "c300": "#7cc5bc",
    "c400": "#47a79d",
    "c500": "#258b82",
    "c600": "#17716b",
    "c700": "#155a56",
    "c800": "#144846",
    "c900": "#133c3b",
    "c950": "#072322",
}

LOGO = """\
<svg viewBox="0 0 64 64" width="44" height="44" role="img" aria-label="A globe, half sketched, half coloured">
<defs><clipPath id="left"><rect x="0" y="0" width="32" height="64"/></clipPath>
<clipPath id="right"><rect x="32" y="0" width="32" height="64"/></clipPath></defs>
<g clip-path="url(#right)"><circle cx="32" cy="32" r="26" fill="#17716b"/>
<path d="M38 12c8 3 15 10 17 18-6 3-11 1-14-3s-8-3-9-9 3-5 6-6zM34 40c5-3 12-2 15 2-3 7-8 11-14 13-3-4-4-11-1-15z"
 fill="#f2b84b"/></g>
<g clip-path="url(#left)" fill="none" stroke="#8a938f" stroke-width="2.4"><circle cx="32" cy="32" r="25"/>
<ellipse cx="32" cy="32" rx="11" ry="25"/><path d="M7 32h25M10 20h22M10 44h22"/></g>
<path d="M32 2v60" stroke="#f2b84b" stroke-width="3" stroke-linecap="round"/></svg>"""

HEADER = f"""\
<header class="masthead">{LOGO}
<div><h1>Edit<b>World</b></h1>
<p>Say what happens in the world of your picture, and see it afterwards.</p></div></header>"""

WAITING = """\
<div class="waiting"><div class="waiting-frame" aria-hidden="true"><span></span><span></span></div>
<p><strong>The world afterwards appears here.</strong></p>
<p>Drop a picture, say what happens to it, press Enter.<br>
A command will do (“melt the snowman”), and so will a cause (“the sun comes out”).</p></div>"""

CSS = """
.gradio-container { max-width: 1240px !important; margin: 0 auto !important; }
.masthead { display: flex; align-items: center; gap: 14px; padding: 10px 2px 4px; }
.masthead h1 { font-weight: 400; font-size: 1.75rem; line-height: 1.1; letter-spacing: -.02em; margin: 0; }
.masthead h1 b { font-weight: 700; color: var(--primary-600); }
.dark .masthead h1 b { color: var(--primary-400); }
.masthead p { margin: 2px 0 0; color: var(--body-text-color-subdued); }
.masthead svg { flex: none; }
#tabs > .tabitem { padding: 14px 0 0; border: 0; } /* the page's own width, not a box in it */
#slider { contain: inline-size; } /* or a wide picture would widen a narrow page */
#overlay img { max-height: 360px; }
#think { font-weight: 600; font-size: .95rem; white-space: nowrap; padding-left: 8px; padding-right: 8px; }
#click-picture img { width: 100%; max-height: 430px; object-fit: contain; cursor: crosshair; }
#canvas [aria-label="Clear canvas"] { display: none; } /* without its picture it is of no use */
.hide-container > .html-container { padding: 0; } /* what padding=False asks for and does not get */
.progress { display: flex; flex-direction: column; gap: 6px; padding: 2px 0; font-size: .9rem;
  color: var(--body-text-color-subdued); }
.progress .track { height: 6px; border-radius: 3px; overflow: hidden; background: var(--border-color-primary); }
.progress .bar { height: 100%; border-radius: 3px; background: var(--primary-500); transition: width .25s ease; }
.progress .bar.unsure { width: 30%; animation: sway 1.6s ease-in-out infinite alternate; }
@keyframes sway { from { margin-left: 0; } to { margin-left: 70%; } }
@media (prefers-reduced-motion: reduce) { .progress .bar { animation: none !important; transition: none; } }
.waiting { min-height: 430px; display: flex; flex-direction: column; align-items: center; justify-content: center;
  gap: 4px; text-align: center; padding: 24px; border: 1.5px dashed var(--border-color-primary);
  border-radius: var(--block-radius); color: var(--body-text-color-subdued); }
.waiting p { margin: 2px 0; max-width: 34em; }
.waiting strong { color: var(--body-text-color); }
.waiting-frame { display: flex; width: 132px; height: 92px; margin-bottom: 14px; border-radius: 10px;
  overflow: hidden; border: 1.5px solid var(--border-color-primary); }
.waiting-frame span { flex: 1; }
.waiting-frame span:first-child { border-right: 3px solid #f2b84b;
  background: repeating-linear-gradient(135deg, transparent 0 7px, var(--border-color-primary) 7px 8px); }
.waiting-frame span:last-child { background: linear-gradient(#8ccfc6 0 58%, #2b8a80 58%); }
.quiet p { font-size: .875rem !important; line-height: 1.5; color: var(--body-text-color-subdued) !important; }
.note { padding: 8px 12px !important; border-radius: var(--radius-md); background: var(--primary-50) !important;
  border-left: 3px solid var(--primary-500); }
.dark .note { background: var(--primary-950) !important; }
.note.refused { background: #fdf3ea !important; border-left-color: #e2a35c; }
.dark .note.refused { background: #3a2a1c !important; border-left-color: #a8722f; }
#words label { border-radius: 999px; padding: 4px 12px; }
#words label span { margin: 0; }
#words input { position: absolute; opacity: 0; pointer-events: none; }
#words label:focus-within { outline: 2px solid var(--primary-500); outline-offset: 1px; }
#examples-grid { display: grid !important; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 12px; }
.shelf h3 { margin: 18px 0 2px; }
/* a gallery's columns are at least 100 pixels wide, which six of them are not on a phone */
#history .grid-container { grid-template-columns: repeat(auto-fill, minmax(min(150px, 40%), 1fr)); }
.example-shelf .grid-container { padding-top: 20px; } /* the category's name stands above the pictures */
#history .grid-wrap, .example-shelf .grid-wrap { min-height: 0; max-height: none; height: auto; }
.pictures .thumbnail-item { aspect-ratio: auto; display: flex; flex-direction: column; } /* whole, words below */
.pictures .thumbnail-item > img { height: auto; }
.pictures .caption-label { position: static; flex: 1; max-width: none; border: 0; border-radius: 0;
  text-align: left; white-space: normal; line-height: 1.25; padding: 5px 8px; }
.chips { display: flex; flex-wrap: wrap; gap: 6px; font-size: .875rem; }
.chips span { padding: 3px 10px; border-radius: 999px; border: 1px solid var(--border-color-primary);
  background: var(--block-background-fill); color: var(--body-text-color-subdued); }
.chips b { color: var(--primary-600); margin-left: 3px; }
.dark .chips b { color: var(--primary-400); }
#pairs .grid-wrap { min-height: 0; max-height: 640px; }
#pairs .grid-container { grid-template-columns: repeat(auto-fill, minmax(min(280px, 100%), 1fr)); }
#compare-gallery .grid-wrap, #chain-frames .grid-wrap { min-height: 0; max-height: none; height: auto; }
#compare-gallery .grid-container { grid-template-columns: repeat(auto-fill, minmax(min(200px, 45%), 1fr)); }
#chain-frames .grid-container { grid-template-columns: repeat(auto-fill, minmax(min(150px, 40%), 1fr)); }
.gradio-container { width: 100%; } /* not as wide as what is in it, nor as its tabs, which fold away if need be */
#tabs { contain: inline-size; width: 100%; }
.pictures .selected .caption-label { opacity: 1; color: var(--body-text-color); }
.scores { overflow-x: auto; font-size: .875rem; }
.scores table { border-collapse: collapse; width: 100%; }
.scores th, .scores td { padding: 5px 7px !important; text-align: right; white-space: nowrap;
  border: 0 !important; border-bottom: 1px solid var(--border-color-primary) !important; }
.scores th:first-child, .scores td:first-child { text-align: left; white-space: normal; min-width: 9em; }
.scores th { color: var(--body-text-color-subdued); font-weight: 600; }
#compare-slider, #chain-slider { contain: inline-size; }
footer .divider { display: none; }
@media (max-width: 640px) {
  .gradio-container { padding: 8px !important; }
  .masthead h1 { font-size: 1.45rem; }
  .waiting { min-height: 220px; }
  #think { font-size: .875rem; }
}
"""


def make_theme() -> Any:
    """The page's Gradio theme."""
    import gradio as gr
    from gradio.themes.utils import colors, fonts, sizes

    theme = gr.themes.Base(
        primary_hue=colors.Color(name="tide", **TEAL),
        secondary_hue=colors.Color(name="tide", **TEAL),
        neutral_hue=colors.stone,
        radius_size=sizes.radius_lg,
        font=[fonts.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"],
        font_mono=["ui-monospace", "Consolas", "monospace"],
    )
    theme.set(
        body_background_fill="#faf8f4",
        body_background_fill_dark="#14181a",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1c2224",
        block_border_color="#e7e2d8",
        block_border_color_dark="#30383a",
        border_color_primary="#e2dccf",
        border_color_primary_dark="#353e41",
        input_background_fill="#faf8f4",
        input_border_width="1px",
        input_border_color="#e2dccf",
        input_border_color_dark="#353e41",
        input_background_fill_dark="#161b1d",
        background_fill_secondary_dark="#20272a",
        body_text_color="#23292b",
        body_text_color_dark="#eceae4",
        body_text_color_subdued="#5f6866",
        body_text_color_subdued_dark="#a3aba8",
        block_shadow="0 1px 2px rgb(40 34 20 / 0.05)",
        block_label_text_color="#4d5654",
        block_label_text_color_dark="#b9c0bd",
        block_title_text_weight="600",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="white",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_hover="*primary_50",
        button_secondary_background_fill_dark="#232b2e",
        button_secondary_background_fill_hover_dark="#2c3639",
        button_secondary_border_color="*border_color_primary",
        button_border_width="1px",
        button_cancel_background_fill="#fdf3ea",
        button_cancel_background_fill_hover="#fae3cd",
        button_cancel_background_fill_dark="#3a2a1c",
        button_cancel_background_fill_hover_dark="#4a3522",
        button_cancel_border_color="#e2a35c",
        button_cancel_border_color_dark="#a8722f",
        button_cancel_text_color="#8a4b0b",
        button_cancel_text_color_dark="#f5c78e",
        button_large_text_weight="700",
        button_small_text_weight="700",
        button_large_radius="*radius_md",
        button_small_radius="*radius_md",
        checkbox_label_background_fill="#faf8f4",
        checkbox_label_background_fill_hover="*primary_50",
        checkbox_label_background_fill_dark="#20272a",
        checkbox_label_background_fill_hover_dark="#2c3639",
        checkbox_label_border_color="#e2dccf",
        checkbox_label_border_color_dark="#353e41",
        checkbox_label_border_width="1px",
        checkbox_label_background_fill_selected="*primary_100",
        checkbox_label_background_fill_selected_dark="*primary_800",
        checkbox_label_text_color_selected="*primary_900",
        checkbox_label_text_color_selected_dark="*primary_50",
        checkbox_background_color_selected="*primary_600",
        checkbox_border_color_selected="*primary_600",
        slider_color="*primary_500",
        slider_color_dark="*primary_400",
    )
    return theme
