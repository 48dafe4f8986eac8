"""The Recheck tab by keyboard: what the keys do, told in small print, and the script that presses the buttons."""

_PRINT = (
    ("A", "accept"),
    ("D", "drop"),
    ("S", "skip"),
    ("U", "undo"),
    ("E", "edit the instruction"),
    ("1-7", "category"),
    ("M", "paint the mask"),
    ("O", "outline on or off"),
    ("R", "regenerate"),
    ("← →", "look around"),
    ("Ctrl+Enter", "keep what is edited"),
    ("Esc", "leave it as it was"),
)
KEYS = (
    '<p class="rc-keys">' + " ".join(f"<span><kbd>{key}</kbd> {what}</span>" for key, what in _PRINT) + "</p>"
)

# One listener for the page, whatever is drawn anew. A key acts where the tab is in sight and nobody types; a key that
# is held down acts once. Esc and Ctrl+Enter alone act in the instruction and while a mask is painted.
SCRIPT = """
if (!window.recheckKeys) {
  window.recheckKeys = true;
  const find = (id) => document.getElementById(id);
  const seen = (it) => it !== null && it.getClientRects().length > 0;
  const press = (id) => { const it = find(id); if (seen(it)) it.click(); };
  const field = () => document.querySelector('#rc-instruction textarea');
  const put = (it, text) => { it.value = text; it.dispatchEvent(new Event('input', { bubbles: true })); };
  const types = (it) => it.isContentEditable || it.matches('textarea, select')
    || (it.matches('input') && !['radio', 'checkbox', 'button', 'range'].includes(it.type));
  let before = '';
  const buttons = { a: 'accept', d: 'drop', s: 'skip', u: 'undo', m: 'mask', r: 'regenerate', o: 'outline',
                    arrowleft: 'previous', arrowright: 'next' };
  document.addEventListener('focusin', (event) => { if (event.target === field()) before = field().value; });
  document.addEventListener('click', (event) => {
    const cell = event.target.closest?.('.rc-strip i');
    if (event.target.closest?.('#rc-outline')) find('recheck').classList.toggle('rc-plain');
    if (!cell) return;
    const jump = document.querySelector('#rc-jump input, #rc-jump textarea');
    put(jump, cell.dataset.number);
    jump.dispatchEvent(new KeyboardEvent('keypress', { key: 'Enter', bubbles: true }));
  });
  document.addEventListener('keydown', (event) => {
    if (!seen(find('rc-desk'))) return;
    const key = event.key.toLowerCase();
    const keeps = key === 'enter' && (event.ctrlKey || event.metaKey);
    const painting = seen(find('rc-painting'));
    let acts = true;
    if (event.target === field() && (keeps || key === 'escape')) {
      if (keeps) press('rc-save'); else put(field(), before);
      field().blur();
    } else if (painting) {
      if (keeps) press('rc-use-mask'); else if (key === 'escape') press('rc-cancel-mask'); else acts = false;
    } else if (event.ctrlKey || event.metaKey || event.altKey || types(event.target)) {
      return;
    } else if (event.repeat) {
      acts = key in buttons;
    } else if (key === 'e') {
      field().focus();
      field().select();
    } else if (key in buttons) {
      press('rc-' + buttons[key]);
    } else if (key >= '1' && key <= '7' && key.length === 1) {
      document.querySelectorAll('#rc-category input')[key - 1].click();
    } else {
      acts = false;
    }
    if (acts) { event.preventDefault(); event.stopPropagation(); }
  }, true);
}
"""
