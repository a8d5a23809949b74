"use strict";
// Filters the claims by verdict and text, and adds copy buttons. The page is complete without it.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const form = document.querySelector("#filter");
  const text = form.querySelector("input[type=search]");
  const boxes = all("input[type=checkbox]", form);
  const said = form.querySelector("output");
  const items = all("[data-claim]");
  const rows = items.filter((item) => item.matches("tr"));

  function filter() {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kinds = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    for (const item of items) {
      const fits = kinds.has(item.dataset.verdict) && words.every((word) => item.dataset.search.includes(word));
      item.hidden = !fits;
    }
    const shown = rows.filter((row) => !row.hidden).length;
    said.textContent = shown === rows.length ? "" : `${shown} of ${rows.length} claims shown`;
  }

  function reveal() { // a link to a claim that the filter hides shows it
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.hidden) {
      text.value = "";
      boxes.forEach((box) => { box.checked = true; });
      filter();
      target.scrollIntoView();
    }
  }

  async function copy(button, code) {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "selected";
    }
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  }

  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", reveal);
  for (const code of all("code.command")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "copy";
    button.setAttribute("aria-label", `copy ${code.textContent}`);
    button.addEventListener("click", () => copy(button, code));
    code.after(" ", button);
  }
})();
