"use strict";
// Elements, and the state of a page in its address. Text is only ever set as text, never as markup.
(function () {
  const SVG = "http://www.w3.org/2000/svg";

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
    }
    element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  }

  // make("a", {href: "#"}, "text", another): true sets an attribute, false and null leave it out.
  prodseek.make = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  prodseek.svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  prodseek.byId = (id) => document.getElementById(id);

  prodseek.button = function (label, onClick, attributes) {
    const button = prodseek.make("button", { type: "button", ...attributes }, label);
    button.addEventListener("click", onClick);
    return button;
  };

  // Says for a while what has happened.
  prodseek.announce = function (text) {
    prodseek.byId("announce").textContent = text;
    setTimeout(() => { prodseek.byId("announce").textContent = ""; }, 4000);
  };

  prodseek.debounced = function (wait_ms, run) {
    let timer = 0;
    return function () {
      clearTimeout(timer);
      timer = setTimeout(run, wait_ms);
    };
  };

  // The part of the address after #, such as page=3&verdict=cropped.
  prodseek.state = function () {
    return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  };

  prodseek.stateLink = function (state) {
    const kept = Object.entries(state).filter(([, value]) => value !== "" && value !== null && value !== undefined);
    return "#" + new URLSearchParams(kept);
  };

  // Goes to another state. As a new entry of the history, unless it refines what is shown, as typing does.
  prodseek.go = function (state, refines) {
    const link = prodseek.stateLink(state);
    if (link === (location.hash || "#")) return;
    if (refines) location.replace(link);
    else location.hash = link;
  };

  // A dialog that closes by Escape, by its button and by a click beside it; focus then returns to where it was.
  prodseek.dialog = function (name, label) {
    const body = prodseek.make("div", { class: "dialog-body" });
    const close = prodseek.button("Close", () => dialog.close(), { class: "close" });
    const bar = prodseek.make("div", { class: "dialog-bar" }, close);
    const dialog = prodseek.make("dialog", { class: name, "aria-label": label }, bar, body);
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    document.body.append(dialog);
    return { dialog, bar, body };
  };

  // Links to the pages of a long list. `state` is kept, but for its page.
  prodseek.pager = function (page, n_pages, state) {
    if (n_pages < 2) return prodseek.make("nav", { class: "pager", hidden: true });
    const near = [1, page - 1, page, page + 1, n_pages].filter((one) => one >= 1 && one <= n_pages);
    const link = (to, label, name) => to < 1 || to > n_pages
      ? prodseek.make("span", { class: "off" }, label)
      : prodseek.make("a", { href: prodseek.stateLink({ ...state, page: to > 1 ? to : "" }), "aria-label": name,
        "aria-current": to === page && name.startsWith("Page") ? "page" : null }, label);
    const parts = [link(page - 1, "‹ Back", "Previous page")];
    let last = 0;
    for (const one of Array.from(new Set(near)).sort((a, b) => a - b)) {
      if (one > last + 1) parts.push(prodseek.make("span", { class: "off" }, "…"));
      parts.push(link(one, prodseek.words.figure(one), "Page " + one));
      last = one;
    }
    parts.push(link(page + 1, "Next ›", "Next page"));
    const nav = prodseek.make("nav", { class: "pager", "aria-label": "Pages" }, parts);
    nav.addEventListener("click", function (event) {
      if (!event.target.closest("a") || event.ctrlKey || event.metaKey || event.shiftKey) return;
      prodseek.byId("main").focus({ preventScroll: true }); // the link is about to go
      prodseek.byId("count").scrollIntoView();
    });
    return nav;
  };

  document.addEventListener("click", function (event) {
    if (!event.target.closest("[data-skip]")) return;
    event.preventDefault(); // the address holds the state
    prodseek.byId("main").focus();
  });
})();
