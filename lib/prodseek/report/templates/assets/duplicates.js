"use strict";
// The duplicates page: groups of copies, pairs that a person is to look at, and variants.
prodseek.start(async function (about) {
  const { make, words, byId } = prodseek;
  const CARDS_PER_PAGE = 24;
  const PAIR_SORTS = [["", "likeliest copies first"], ["unsure", "least likely first"]];
  // first: the number of the first card of the view in its data files.
  const VIEWS = {
    copies: {
      kind: "duplicates", first: 0, noun: "group", nothing: "No photo is a copy of another.", n: about.n_duplicate_groups, n_all: about.n_all_duplicate_groups,
      table: "duplicate_groups", order: "largest",
      sorts: [["", "largest first"], ["products", "most products first"], ["sure", "likeliest first"], ["unsure", "least likely first"]],
    },
    look: {
      kind: "pairs", first: 0, noun: "pair", nothing: "Nothing is left for a person to decide.", n: about.n_pairs_to_look_at,
      n_all: about.n_all_pairs_to_look_at, table: "near_duplicates", order: "likeliest", sorts: PAIR_SORTS,
    },
    apart: {
      kind: "pairs", first: about.n_pairs_to_look_at, noun: "pair", nothing: "None found.",
      n: about.n_pairs - about.n_pairs_to_look_at, n_all: about.n_all_pairs - about.n_all_pairs_to_look_at,
      table: "near_duplicates", order: "likeliest", sorts: PAIR_SORTS,
    },
  };
  const form = byId("filters");
  let drawing = 0;

  // --- what is shown -------------------------------------------------------------------------------------------------

  // A card: {number, a, links: [{b, likeness, why}]}, from any view; of copies a is the photo to keep.
  function cardOf(view, number, value) {
    if (view === "copies") {
      return { number, id: value.group_id, n_photos: value.n_photos, n_products: value.n_products, conflicts: value.conflicts,
        why: value.kept_because, a: value.representative,
        links: value.copies.map((copy) => ({ b: copy.photo, likeness: copy.likeness, why: copy.kept_because })) };
    }
    return { number, id: "", n_photos: 2, a: value.a, links: [{ b: value.b, likeness: value.likeness, why: "" }] };
  }

  const shards = new Map();
  async function cards(view, shard) {
    const name = prodseek.shardName(VIEWS[view].kind, shard);
    if (!shards.has(name)) {
      const values = await prodseek.load(name);
      shards.set(name, values.map((value, place) => cardOf(view, shard * about.groups_per_shard + place, value)));
    }
    return shards.get(name);
  }

  // Stops with null when `stop()` says so.
  async function allCards(view, stop) {
    const { first, n } = VIEWS[view];
    const first_shard = Math.floor(first / about.groups_per_shard);
    const end_shard = n === 0 ? first_shard : Math.ceil((first + n) / about.groups_per_shard);
    const progress = byId("progress");
    const all = [];
    for (let shard = first_shard; shard < end_shard; shard += 1) {
      if (stop()) return null;
      all.push(...await cards(view, shard));
      progress.hidden = shard + 1 === end_shard;
      progress.max = end_shard - first_shard;
      progress.value = shard + 1 - first_shard;
    }
    return all.filter(({ number }) => number >= first && number < first + n);
  }

  // start, end: places among the cards of the view.
  async function cardsBetween(view, start, end) {
    const found = [];
    const { first } = VIEWS[view];
    for (let number = first + start; number < first + end; number += 1) {
      const shard = await cards(view, Math.floor(number / about.groups_per_shard));
      found.push(shard[number % about.groups_per_shard]);
    }
    return found;
  }

  const photosOf = (card) => [card.a, ...card.links.map((link) => link.b)];
  const n_productsOf = (card) => card.n_products || new Set(photosOf(card).map((photo) => photo.product_id)).size;

  function textOf(card) {
    card.text = card.text || words.fold(photosOf(card).map((photo) =>
      [photo.product_id, photo.title, words.relative(photo.uri)].join(" ")).join(" ") + " " + card.id);
    return card.text;
  }

  const surest = (card) => Math.max(...card.links.map((link) => link.likeness.confidence));
  const least = (card) => Math.min(...card.links.map((link) => link.likeness.confidence));
  const ORDERS = {
    products: (a, b) => n_productsOf(b) - n_productsOf(a),
    sure: (a, b) => least(b) - least(a) || surest(b) - surest(a),
    unsure: (a, b) => least(a) - least(b),
  };

  // The cards that the filters leave, in order, each with the links that they leave.
  function filtered(all, state) {
    const asked = words.wordsOf(state.find || "");
    const verdicts = new Set((state.verdict || "").split(",").filter(Boolean));
    const min = Number(state.min || 0) / 100;
    const left = all.flatMap(function (card) {
      if (state.group !== undefined && card.number !== Number(state.group)) return [];
      if (asked.length && !words.holdsAll(textOf(card), asked)) return [];
      if (state.across && n_productsOf(card) < 2) return [];
      const links = card.links.filter(({ likeness }) =>
        likeness.confidence >= min && (!verdicts.size || verdicts.has(likeness.verdict)));
      return links.length ? [{ ...card, links, n_left_out: card.links.length - links.length }] : [];
    });
    return ORDERS[state.sort] ? left.sort(ORDERS[state.sort]) : left;
  }

  // --- cards ---------------------------------------------------------------------------------------------------------

  function photoFacts(photo, other) {
    const differs = other && photo.product_id !== other.product_id;
    return [
      photo.title && !(other && photo.title === other.title) && make("p", { class: "title text", dir: "auto" }, photo.title),
      photo.product_id && make("p", { class: "product" + (differs ? " differs" : "") },
        make("span", { class: "text", dir: "auto" }, photo.product_id),
        differs && [" ", make("span", { class: "flag" }, "other product")]),
      make("p", { class: "small" }, words.size(photo)),
      make("p", { class: "small uri text", dir: "auto" }, words.relative(photo.uri)),
    ];
  }

  function verdictLine(likeness) {
    const verdict = words.verdict(likeness.verdict);
    return [
      make("p", { class: "verdict" }, make("span", { class: "badge", title: verdict.meaning }, verdict.label),
        make("span", { class: "small" }, words.percent(likeness.confidence) + " likely a copy")),
      likeness.evidence.length > 0 && make("p", { class: "small evidence" },
        likeness.evidence.map(([label, value]) => make("span", { class: "text" }, label + " " + value + " "))),
    ];
  }

  function fills(box_px, photo) {
    return box_px[2] - box_px[0] > 0.985 * photo.width_px && box_px[3] - box_px[1] > 0.985 * photo.height_px;
  }

  // The part that both show. Nothing is framed where that is all of both.
  function sharedBoxes(a, { b, likeness }) {
    const { box_a_px, box_b_px } = likeness;
    if (!box_a_px || !box_b_px || (fills(box_a_px, a) && fills(box_b_px, b))) return [null, null];
    return [box_a_px, box_b_px];
  }

  function photoTile(photo, boxes) {
    return prodseek.tile(photo.object, "photos", words.photoAlt(photo),
      prodseek.frames(photo.width_px, photo.height_px, boxes.map((box_px) => ({ box_px }))));
  }

  function compareButton(a, { b, likeness }) {
    return prodseek.button("Compare", () => prodseek.compare(a, b, likeness),
      { class: "quiet", "aria-label": "Compare " + words.photoAlt(a) + " with " + words.photoAlt(b) });
  }

  function copiesCard(card) {
    const n_products = n_productsOf(card);
    const keep = photoTile(card.a, card.links.map((link) => sharedBoxes(card.a, link)[0]));
    const lines = keep.querySelectorAll("rect.line");
    const boxed = card.links.filter((link) => sharedBoxes(card.a, link)[0]);
    const figures = card.links.map(function (link) {
      const figure = make("figure", null, photoTile(link.b, [sharedBoxes(card.a, link)[1]]),
        make("figcaption", null, verdictLine(link.likeness), photoFacts(link.b, card.a),
          make("p", { class: "small" }, make("b", null, "Why the other: "), make("span", { class: "text" }, link.why)),
          compareButton(card.a, link)));
      const line = lines[boxed.indexOf(link)];
      if (line && boxed.length > 1) {
        for (const type of ["pointerenter", "focusin"]) figure.addEventListener(type, () => line.classList.add("strong"));
        for (const type of ["pointerleave", "focusout"]) figure.addEventListener(type, () => line.classList.remove("strong"));
      }
      return figure;
    });
    const n_more = card.n_photos - 1 - card.links.length - card.n_left_out;
    const notes = [card.n_left_out > 0 && words.figure(card.n_left_out) + " that the filters leave out",
      n_more > 0 && words.figure(n_more) + " more in the table duplicate_groups"].filter(Boolean);
    return make("article", { class: "card group" + (card.links.length > 2 ? " wide" : ""), "data-objects": true,
      "data-number": card.number, "aria-labelledby": "group-" + card.number },
      make("header", null,
        make("h2", { id: "group-" + card.number }, words.counted(card.n_photos, "photo"),
          n_products > 1 && [" ", make("span", { class: "flag" }, words.counted(n_products, "product"))]),
        make("a", { class: "small text", href: prodseek.stateLink({ group: card.number }) }, "group " + card.id)),
      card.conflicts && make("p", { class: "conflicts" }, "Same photo, " + words.counted(n_products, "product") + ". They differ in ",
        make("span", { class: "text", dir: "auto" }, card.conflicts)),
      make("figure", { class: "keep" }, keep, make("figcaption", null,
        make("p", { class: "verdict" }, make("span", { class: "badge to-keep" }, "keep"),
          make("span", { class: "small text" }, card.why)),
        photoFacts(card.a))),
      make("div", { class: "copies" }, figures),
      notes.length > 0 && make("p", { class: "small more" }, notes.join("; ") + "."));
  }

  function pairCard(card) {
    const [link] = card.links;
    const [box_a_px, box_b_px] = sharedBoxes(card.a, link);
    return make("article", { class: "card pair", "data-objects": true, "data-number": card.number,
      "aria-label": words.verdict(link.likeness.verdict).label + ": " + words.photoAlt(card.a) + " and " + words.photoAlt(link.b) },
      make("header", null, ...verdictLine(link.likeness), compareButton(card.a, link)),
      make("figure", null, photoTile(card.a, [box_a_px]), make("figcaption", null, photoFacts(card.a))),
      make("figure", null, photoTile(link.b, [box_b_px]), make("figcaption", null, photoFacts(link.b, card.a))));
  }

  // --- the page ------------------------------------------------------------------------------------------------------

  const viewOf = (state) => (Object.hasOwn(VIEWS, state.tab || "") ? state.tab : "copies");

  function drawControls(state) {
    const view = viewOf(state);
    for (const name of Object.keys(VIEWS)) {
      if (name === view) byId("tab-" + name).setAttribute("aria-current", "page");
      else byId("tab-" + name).removeAttribute("aria-current");
      byId("about-" + name).hidden = name !== view;
    }
    const chosen = new Set((state.verdict || "").split(","));
    for (const box of form.querySelectorAll("[name=verdict]")) {
      box.closest("label").hidden = !about.verdicts[box.value].tabs.includes(view);
      box.checked = chosen.has(box.value);
    }
    for (const line of document.querySelectorAll("#meanings > div")) {
      line.hidden = !about.verdicts[line.dataset.verdict].tabs.includes(view);
    }
    const set = (name, value) => { if (document.activeElement !== form.elements[name]) form.elements[name].value = value; };
    set("find", state.find || "");
    set("min", state.min || "0");
    byId("min-shown").textContent = (state.min || "0") + " %";
    form.elements.across.checked = Boolean(state.across);
    const { sorts } = VIEWS[view];
    form.elements.sort.replaceChildren(...sorts.map(([value, label]) => make("option", { value }, label)));
    form.elements.sort.value = sorts.some(([value]) => value === state.sort) ? state.sort : "";
  }

  function stateOfControls() {
    const { tab } = prodseek.state();
    return {
      tab: tab || "",
      verdict: Array.from(form.querySelectorAll("[name=verdict]:checked"), (box) => box.value).join(","),
      min: form.elements.min.value === "0" ? "" : form.elements.min.value,
      find: form.elements.find.value.trim(),
      across: form.elements.across.checked ? "1" : "",
      sort: form.elements.sort.value,
    };
  }

  async function draw() {
    drawing += 1;
    const mine = drawing;
    const state = prodseek.state();
    const view = viewOf(state);
    const { noun, n, n_all, table, order, nothing } = VIEWS[view];
    drawControls(state);
    const filters = state.verdict || state.min || state.find || state.across || state.group !== undefined;
    const page = Math.max(1, Number.parseInt(state.page || "1", 10) || 1);
    let n_found = n;
    let shown;
    const [first, end] = [(page - 1) * CARDS_PER_PAGE, page * CARDS_PER_PAGE];
    if (filters || ORDERS[state.sort]) {
      const all = await allCards(view, () => mine !== drawing);
      if (!all) return;
      const left = filtered(all, state);
      n_found = left.length;
      shown = left.slice(first, end);
    } else {
      shown = filtered(await cardsBetween(view, Math.min(n, first), Math.min(n, end)), {});
    }
    if (mine !== drawing) return; // something else was asked for meanwhile
    const content = byId("cards");
    content.className = "cards " + (view === "copies" ? "groups" : "pairs");
    content.replaceChildren(...shown.map(view === "copies" ? copiesCard : pairCard));
    byId("pager").replaceChildren(prodseek.pager(page, Math.ceil(n_found / CARDS_PER_PAGE), state));
    const capped = n < n_all ? " The report holds the " + words.figure(n) + " " + order + " of " + words.figure(n_all) +
      "; all are in the table " + table + "." : "";
    byId("count").textContent = (n === 0 ? nothing : filters ? words.matched(n_found, noun, n) : words.counted(n, noun) + ".") + capped;
    byId("export").hidden = n_found === 0;
    byId("all").hidden = !filters;
    byId("all").href = prodseek.stateLink({ tab: state.tab, sort: state.sort });
  }

  async function exported() {
    const state = prodseek.state();
    const view = viewOf(state);
    const list = filtered(await allCards(view, () => false), state);
    const head = ["group_id", "verdict", "confidence", "product_id_a", "title_a", "uri_a", "width_a_px", "height_a_px",
      "product_id_b", "title_b", "uri_b", "width_b_px", "height_b_px", "evidence", "decision", "kept_because", "conflicts"];
    const photo = (one) => [one.product_id, one.title, one.uri, one.width_px, one.height_px];
    const rows = list.flatMap((card) => card.links.map(({ b, likeness, why }) => [card.id, likeness.verdict, likeness.confidence,
      ...photo(card.a), ...photo(b), likeness.evidence.map((one) => one.join(" ")).join("; "), likeness.decision, why,
      card.conflicts || ""]));
    prodseek.download({ copies: "copies", look: "to-look-at", apart: "variants" }[view] + "-" + about.run_id + ".csv", prodseek.csv([head, ...rows]));
    prodseek.announce(words.counted(rows.length, "row") + " saved");
  }

  const ordered = Object.entries(about.verdicts).sort(([, a], [, b]) => (a.label < b.label ? -1 : 1));
  byId("verdicts").append(...ordered.map(([key, verdict]) => make("label", { title: verdict.meaning },
    make("input", { type: "checkbox", name: "verdict", value: key }), verdict.label)));
  byId("meanings").append(...ordered.map(([key, verdict]) => make("div", { "data-verdict": key },
    make("dt", null, make("span", { class: "badge" }, verdict.label)), make("dd", null, verdict.meaning || key))));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", prodseek.debounced(200, () => prodseek.go(stateOfControls(), true)));
  form.elements.min.addEventListener("input", () => { byId("min-shown").textContent = form.elements.min.value + " %"; });
  byId("export").addEventListener("click", () => exported().catch(prodseek.fail));
  addEventListener("hashchange", () => { draw().catch(prodseek.fail); });
  form.hidden = false;
  await draw();
});
