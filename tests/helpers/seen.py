"""What a reader of a page would notice, measured in a browser: texts that are cut, covered, faint or out of reach."""

from playwright.sync_api import Page

OPEN_ALL = "document.querySelectorAll('details').forEach(part => part.open = true)"
# Every visible text with its rectangles, as far as the boxes that scroll show them.
TEXTS = """
const texts = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode, parent = node.parentElement;
  if (!node.data.trim() || !parent.checkVisibility() || parent.closest("script, .unseen, select")) continue;
  const range = document.createRange();
  range.selectNodeContents(node);
  const frame = parent.closest(".scroll, nav")?.getBoundingClientRect();
  for (const of of range.getClientRects()) {
    const [left, right] = [Math.max(of.left, frame?.left ?? 0), Math.min(of.right, frame?.right ?? Infinity)];
    if (right - left > 1) texts.push({ node, parent, left, right, top: of.top, bottom: of.bottom });
  }
}
"""


def too_wide(page: Page) -> list[str]:
    """Elements that stick out of the page, and texts that stick out of it, outside boxes that scroll."""
    return page.evaluate(
        """() => { const wide = [...document.body.querySelectorAll("*")].filter(of => of.checkVisibility()
          && !of.closest("nav, .unseen") && !of.parentElement.closest(".scroll")
          && of.getBoundingClientRect().right > innerWidth + 1).map(of => of.outerHTML.slice(0, 80));
        if (document.documentElement.scrollWidth > innerWidth) wide.push("the page");
        return wide; }"""
    )


def overlapping(page: Page) -> list[str]:
    """Pairs of texts that cover one another by more than their line's own play."""
    return page.evaluate(
        "() => {"
        + TEXTS
        + """texts.sort((a, b) => a.top - b.top);
        const found = [];
        texts.forEach((a, i) => {
          for (const b of texts.slice(i + 1)) {
            if (b.top > a.bottom - 4) break;
            const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            if (a.node !== b.node && across > 2 && Math.min(a.bottom, b.bottom) - b.top > 4)
              found.push(`${a.node.data.trim().slice(0, 40)} | ${b.node.data.trim().slice(0, 40)}`);
          }
        });
        return found; }"""
    )


def faint(page: Page, least: float = 4.5) -> list[str]:
    """Texts whose contrast to what lies below them is under `least` (WCAG 2.1, 1.4.3)."""
    return page.evaluate(
        "least => {"
        + TEXTS
        + """const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
          .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
          .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const below = of => {
          for (; of; of = of.parentElement) {
            const colour = numbers(getComputedStyle(of).backgroundColor);
            if (colour[3] !== 0) return colour;
          }
          return [255, 255, 255];
        };
        return texts.map(({ node, parent }) => {
          const [a, b] = [numbers(getComputedStyle(parent).color), below(parent)].map(light).sort((a, b) => b - a);
          return [(a + 0.05) / (b + 0.05), node.data.trim().slice(0, 40)];
        }).filter(([ratio]) => ratio < least).map(([ratio, text]) => `${ratio.toFixed(2)}: ${text}`); }""",
        least,
    )


def unreached(page: Page) -> list[str]:
    """What can be pressed, typed into or scrolled, and that the Tab key does not come to."""
    wanted = "a[href], button, summary, input, .scroll, .figure"
    n = page.evaluate(
        """wanted => { document.activeElement.blur(); window.reached = new Set();
        document.addEventListener("focusin", event => window.reached.add(event.target));
        return document.querySelectorAll(wanted).length; }""",
        wanted,
    )
    for _ in range(n + 5):
        page.keyboard.press("Tab")
    return page.evaluate(
        """wanted => [...document.querySelectorAll(wanted)].filter(of => of.checkVisibility() && !reached.has(of))
        .map(of => of.outerHTML.slice(0, 80))""",
        wanted,
    )
