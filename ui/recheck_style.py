"""How the Recheck tab looks; ``app.py`` appends it to the page's style."""

RECHECK_CSS = """
#recheck { gap: 8px; }
#rc-door { align-items: stretch; gap: 8px; flex-wrap: wrap; }
#rc-door .block { padding: 6px 10px 8px; }
#rc-door .block > label > span, #rc-door .block .container > span { margin-bottom: 2px; font-size: .84rem; }
#rc-start { align-self: stretch; flex-grow: 0; }
#rc-desk { gap: 8px; }
#rc-bench { gap: 14px; align-items: start; }
.rc-progress { display: flex; align-items: center; gap: 12px; }
.rc-bar { flex: 1; display: flex; height: 10px; border-radius: 5px; overflow: hidden;
  background: var(--border-color-primary); }
.rc-bar span { transition: flex .25s ease; }
.rc-bar .accept, .rc-strip .accept { background: var(--primary-500); }
.rc-bar .drop, .rc-strip .drop { background: #d98a4e; }
.rc-numbers { display: flex; gap: 12px; font-size: .875rem; font-variant-numeric: tabular-nums;
  color: var(--body-text-color-subdued); white-space: nowrap; }
.rc-numbers .accept { color: var(--primary-600); font-weight: 700; }
.dark .rc-numbers .accept { color: var(--primary-400); }
.rc-numbers .drop { color: #b3622a; font-weight: 700; }
.rc-strip { display: flex; flex-wrap: wrap; align-items: center; gap: 3px; margin-top: 6px; }
.rc-strip i { width: 13px; height: 13px; border-radius: 3px; cursor: pointer;
  background: var(--border-color-primary); }
.rc-strip i.blank { background: none; border: 2px dashed #d98a4e; }
.rc-strip i.blank.drop { background: #d98a4e; }
.rc-strip i.now { outline: 2px solid var(--body-text-color); outline-offset: 1px; }
.rc-strip small { margin-left: 6px; color: var(--body-text-color-subdued); font-variant-numeric: tabular-nums; }
.rc-pair { display: grid; grid-template-columns: 1fr 1fr; gap: 10px; }
.rc-pair figure { margin: 0; min-width: 0; }
.rc-frame { position: relative; display: flex; justify-content: center; border-radius: 8px; overflow: hidden;
  background: var(--background-fill-secondary); }
.rc-frame > img:first-child { width: 100%; max-height: max(200px, min(400px, 100vh - 440px)); object-fit: contain; }
.rc-mask { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; pointer-events: none; }
.rc-plain .rc-mask { display: none; }
.rc-pair figcaption { font-size: .84rem; line-height: 1.35; padding: 4px 2px 0; color: var(--body-text-color-subdued);
  min-height: 3.1em; }
.rc-pair figcaption b { color: var(--body-text-color); margin-right: 4px; }
.rc-empty { min-height: 300px; display: flex; flex-direction: column; align-items: center; justify-content: center;
  text-align: center; border: 1.5px dashed var(--border-color-primary); border-radius: var(--block-radius);
  color: var(--body-text-color-subdued); padding: 20px; }
.rc-empty div { font-size: 2.4rem; color: var(--primary-500); }
.rc-empty b { color: var(--body-text-color); }
#rc-actions { gap: 6px; }
#rc-actions button { min-width: max-content !important; padding: 4px 8px; } /* Gradio writes its own beside it */
#rc-note .note { padding: 0 !important; border: 0; } /* Gradio gives the class to both boxes */
#rc-category .wrap { gap: 6px; }
#rc-category label { padding: 4px 9px; font-size: .84rem; }
#rc-category input { position: absolute; opacity: 0; pointer-events: none; }
#rc-category label span { margin: 0; }
#rc-category label:focus-within { outline: 2px solid var(--primary-500); outline-offset: 1px; }
.rc-facts { display: grid; grid-template-columns: auto 1fr; gap: 4px 10px; margin: 0; font-size: .84rem; }
.rc-facts dt { color: var(--body-text-color-subdued); }
.rc-facts dd { margin: 0; display: flex; flex-wrap: wrap; gap: 4px; }
.rc-facts dd span { padding: 0 7px; border-radius: 999px; background: var(--primary-50); overflow-wrap: anywhere; }
.dark .rc-facts dd span { background: var(--primary-950); }
.rc-history { margin: 8px 0 0; padding: 6px 0 0; list-style: none; font-size: .84rem; max-height: 110px;
  overflow-y: auto; border-top: 1px solid var(--border-color-primary); overflow-wrap: anywhere; }
.rc-history small, .rc-history s { color: var(--body-text-color-subdued); }
.rc-keys { display: flex; flex-wrap: wrap; gap: 3px 13px; margin: 0; font-size: .78rem;
  color: var(--body-text-color-subdued); }
.rc-keys kbd { padding: 0 5px; border: 1px solid var(--border-color-primary) !important;
  border-radius: 4px; font: inherit; color: var(--body-text-color); }
#rc-canvas [aria-label="Clear canvas"] { display: none; }
@media (max-width: 640px) {
  .rc-progress { flex-direction: column; align-items: stretch; gap: 4px; }
  .rc-bar { flex: none; }
  .rc-keys { display: none; } /* a phone has no keys; the buttons do the same */
  #rc-actions { flex-wrap: wrap; }
}
"""
