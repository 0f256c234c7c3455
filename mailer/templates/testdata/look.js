// What is wrong with the mail that is shown: sentences, an empty list when nothing is.
(() => {
  const wrong = new Set();
  const page = document.documentElement;
  if (page.scrollWidth > innerWidth) wrong.add(`it is ${page.scrollWidth} px wide, the screen ${innerWidth}`);
  const luminance = c => {
    const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const rgba = s => s.match(/[\d.]+/g).map(Number);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = rgba(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = texts.nextNode());) {
    const text = n.textContent.replace(/[\s\u00a0]+/g, " ").trim(), e = n.parentElement, style = getComputedStyle(e);
    if (!text || e.closest("[style*='display:none']") || ["STYLE", "TITLE"].includes(e.tagName)) continue;
    if (parseFloat(style.fontSize) < 13) wrong.add(`"${text.slice(0, 30)}" is of ${style.fontSize}`);
    const a = luminance(rgba(style.color)), b = luminance(behind(e));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) wrong.add(`"${text.slice(0, 30)}" has a contrast of ${contrast.toFixed(2)}`);
    const range = document.createRange();
    range.selectNodeContents(n);
    for (const box of range.getClientRects()) {
      if (box.right > innerWidth + 1 || box.left < -1) wrong.add(`"${text.slice(0, 30)}" goes beyond the edge`);
    }
  }
  for (const img of document.images) {
    if (!img.complete || !img.naturalWidth) wrong.add(`the picture ${img.getAttribute("src")} is not there`);
    if (!img.hasAttribute("alt")) wrong.add("a picture has no alt");
    const box = img.getBoundingClientRect();
    if (box.right > innerWidth) wrong.add("a picture goes beyond the edge");
  }
  for (const a of document.links) {
    if (a.getAttribute("aria-hidden")) continue;
    if (!a.textContent.trim() && !a.querySelector("img[alt]:not([alt=''])") && !a.querySelector("[aria-hidden]")) wrong.add(`the link ${a.getAttribute("href")} says nothing`);
    const box = a.getBoundingClientRect();
    const taps = getComputedStyle(a).display !== "inline"; // a name in a line has its picture beside it
    if (taps && (box.height < 40 || box.width < 40)) wrong.add(`"${a.textContent.trim().slice(0, 30)}" is hard to tap: ${Math.round(box.width)} × ${Math.round(box.height)}`);
  }
  for (const t of document.querySelectorAll("table:not([role=presentation])")) wrong.add("a table has no role: " + t.outerHTML.slice(0, 60));
  if (document.querySelectorAll("h1").length !== 1) wrong.add("there is not one h1");
  if (!page.lang || !document.querySelector("[role=article][lang]")) wrong.add("no language is given");
  return [...wrong];
})()
