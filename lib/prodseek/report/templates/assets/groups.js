"use strict";
// The groups page: galleries of look-alikes at two levels, the odd ones out, and the groups that are no more.
prodseek.start(async function (about) {
  const { make, words, byId } = prodseek;
  const CARDS_PER_PAGE = 24;
  const ODD_PER_PAGE = 120;
  const GONE_PER_PAGE = 500;
  const MEMBERS_AT_FIRST = 14;
  const MEMBERS_MORE = 60;
  const FIRST_LOOK = 8;
  const FINER_AT_FIRST = 12;
  const NEWEST_FIRST = ["born", "split", "merged", "grown", "shrunk", "continued", ""];
  const NAMED_BY = {
    title: "named by its titles", folder: "named by its folders", name: "named by ids and file names",
    class: "named by what was detected", look: "named by its look",
  };
  const form = byId("filters");
  let drawing = 0;

  if (!about.group_facets.length) {
    byId("count").textContent = "This run has no groups.";
    return;
  }

  const facetOf = (state) => (about.group_facets.includes(state.facet) ? state.facet : about.group_facets[0]);
  const levelOf = (state, groups) => (state.level === "fine" || !groups.coarse.length ? "fine" : "coarse");

  // --- what is shown -------------------------------------------------------------------------------------------------

  // Of each coarse group the numbers of its fine groups, the largest first.
  function finerOf(groups) {
    if (!groups.finer) {
      groups.finer = groups.coarse.map(() => []);
      groups.fine.forEach((group, number) => { if (group.parent >= 0) groups.finer[group.parent].push(number); });
    }
    return groups.finer;
  }

  // The fine group that has all members of a coarse one; undefined where there is none.
  function twinOf(groups, number) {
    const finer = finerOf(groups)[number];
    const only = finer.length === 1 ? groups.fine[finer[0]] : undefined;
    return only && only.n_regions === groups.coarse[number].n_regions ? only : undefined;
  }

  // As the log counts them.
  const countOf = (groups) => groups.fine.length || groups.coarse.length;

  function textOf(group) {
    group.text = group.text || words.fold([group.title, group.category, group.class_name, group.colour, group.group_id].join(" "));
    return group.text;
  }

  // [level, number] of the groups that the filters leave, in order. Coarse groups are also found by the titles of their finer ones.
  function filtered(groups, state) {
    if (state.group) {
      const [level, number] = state.group.split("-");
      return groups[level] && groups[level][number] ? [[level, Number(number)]] : [];
    }
    const asked = words.wordsOf(state.find || "");
    const least = Number(state.least || 0);
    const level = levelOf(state, groups);
    const listed = level === "fine" ? groups.fine.map((_, number) => ["fine", number])
      : [...groups.coarse.map((_, number) => ["coarse", number]),
        ...groups.fine.flatMap((group, number) => (group.parent < 0 ? [["fine", number]] : []))];
    const left = listed.filter(function ([of, number]) {
      const group = groups[of][number];
      if (group.n_regions < least || (state.event && group.event !== state.event)) return false;
      return !asked.length || words.holdsAll(textOf(group), asked)
        || (of === "coarse" && finerOf(groups)[number].some((one) => words.holdsAll(textOf(groups.fine[one]), asked)));
    });
    const orders = {
      loose: (a, b) => a.cohesion - b.cohesion,
      new: (a, b) => NEWEST_FIRST.indexOf(a.event) - NEWEST_FIRST.indexOf(b.event) || b.n_regions - a.n_regions,
    };
    const order = orders[state.sort] || ((a, b) => b.n_regions - a.n_regions);
    return left.sort(([a, i], [b, j]) => order(groups[a][i], groups[b][j]));
  }

  // --- cards ---------------------------------------------------------------------------------------------------------

  function lineage(group) {
    const label = words.EVENTS[group.event];
    if (!label) return null;
    const from = group.previous_titles.length > 0 && ["merged", "split"].includes(group.event)
      && " from " + group.previous_titles.map((title) => "“" + title + "”").join(", ");
    return make("span", { class: "badge event text" }, label, from);
  }

  function facts(group) {
    return [
      words.counted(group.n_regions, "object"), words.counted(group.n_products, "product"),
      "cohesion " + group.cohesion.toFixed(2), "separation " + group.separation.toFixed(2),
      group.category && words.percent(group.category_share) + " " + group.category, NAMED_BY[group.title_from],
    ].filter(Boolean).map((text) => make("span", { class: "text", dir: "auto" }, text));
  }

  function header(groups, facet, level, number, heading) {
    const group = groups[level][number];
    const parent = level === "fine" && groups.coarse[group.parent];
    const id = level + "-" + number;
    return make("header", null,
      make("div", null,
        parent && heading === "h2" && make("p", { class: "small" }, "in ",
          make("a", { class: "text", dir: "auto", href: prodseek.groupLink(facet, "coarse", group.parent) }, parent.title)),
        make(heading, { id, class: "text", dir: "auto" },
          make("a", { href: prodseek.groupLink(facet, level, number) }, group.title || "Group " + group.group_id),
          " ", lineage(group))),
      make("p", { class: "small group-facts" }, facts(group)));
  }

  // The members, exemplars large, then as many as asked for at a time.
  function gallery(group, group_members, n_first) {
    const box = make("div", { class: "gallery", "data-objects": true });
    const more = prodseek.button("", () => extend(MEMBERS_MORE), { class: "quiet" });
    const note = make("p", { class: "small more" }, more);
    let n_shown = 0;
    function extend(n) {
      box.append(...group_members.slice(n_shown, n_shown + n).map((number, place) =>
        prodseek.objectTile(number, { large: n_shown + place < group.n_exemplars })));
      n_shown = Math.min(group_members.length, n_shown + n);
      more.textContent = words.figure(group_members.length - n_shown) + " more";
      more.hidden = n_shown === group_members.length;
    }
    extend(n_first);
    return [box, note];
  }

  function fineGallery(group) {
    const [box, note] = gallery(group, group.members, group.n_exemplars + MEMBERS_AT_FIRST);
    const n_more = group.n_regions - group.members.length;
    if (n_more > 0) note.append(" " + words.counted(n_more, "object") + " more in the table curation_groups.");
    return [box, note];
  }

  // Of a coarse group its exemplars, then the first of each of its fine groups.
  function firstLook(groups, number) {
    const group = groups.coarse[number];
    const finest = finerOf(groups)[number].slice(0, FIRST_LOOK).flatMap((one) => groups.fine[one].members.slice(0, 1));
    return Array.from(new Set([...group.members.slice(0, group.n_exemplars), ...finest])).slice(0, FIRST_LOOK);
  }

  function finer(groups, facet, number) {
    const numbers = finerOf(groups)[number];
    if (!numbers.length) return null;
    const list = make("div", { class: "finer" });
    const more = prodseek.button("", extend, { class: "quiet" });
    let n_shown = 0;
    function extend() {
      list.append(...numbers.slice(n_shown, n_shown + FINER_AT_FIRST).map((one) =>
        make("section", { "aria-labelledby": "fine-" + one },
          header(groups, facet, "fine", one, "h3"), fineGallery(groups.fine[one]))));
      n_shown = Math.min(numbers.length, n_shown + FINER_AT_FIRST);
      more.textContent = words.figure(numbers.length - n_shown) + " more finer groups";
      more.hidden = n_shown === numbers.length;
    }
    const folded = make("details", null, make("summary", null, words.counted(numbers.length, "finer group")), list, more);
    folded.addEventListener("toggle", () => { if (folded.open && !n_shown) extend(); });
    return folded;
  }

  function card(groups, facet, [level, number], alone) {
    const group = groups[level][number];
    const id = level + "-" + number;
    const article = make("article", { class: "card curation " + level, "aria-labelledby": id, "data-group": id },
      header(groups, facet, level, number, "h2"));
    if (level === "fine") {
      article.append(...fineGallery(group));
      return article;
    }
    const twin = twinOf(groups, number);
    if (twin) {
      article.append(...fineGallery(twin));
      return article;
    }
    article.append(make("div", { class: "gallery exemplars", "data-objects": true },
      firstLook(groups, number).map((one) => prodseek.objectTile(one))));
    const folded = finer(groups, facet, number);
    if (folded) article.append(folded);
    const loose = group.members.slice(group.n_exemplars);
    if (loose.length) {
      const rest = make("details", null, make("summary", null, words.counted(loose.length, "object") + " in none of the finer groups"));
      rest.addEventListener("toggle", function () {
        if (rest.open && rest.children.length === 1) rest.append(...gallery({ n_exemplars: 0 }, loose, MEMBERS_MORE));
      });
      article.append(rest);
    }
    if (alone && folded) folded.open = true;
    return article;
  }

  // --- the page ------------------------------------------------------------------------------------------------------

  function drawControls(state, facet, groups) {
    for (const tab of byId("tabs").children) {
      if ((state.tab || "") === tab.dataset.tab) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
      tab.href = prodseek.stateLink({ facet: facet === about.group_facets[0] ? "" : facet, tab: tab.dataset.tab });
      tab.lastElementChild.textContent = words.figure({ "": countOf(groups), odd: groups.n_ungrouped,
        category: groups.odd_category.length, gone: groups.retired.length }[tab.dataset.tab]);
      tab.hidden = tab.dataset.tab === "category" && !groups.odd_category.length && state.tab !== "category";
    }
    form.elements.facet.value = facet;
    form.elements.level.value = levelOf(state, groups);
    form.elements.event.value = state.event || "";
    form.elements.sort.value = state.sort || "";
    for (const name of ["find", "least"]) {
      if (document.activeElement !== form.elements[name]) form.elements[name].value = state[name] || "";
    }
    for (const part of form.querySelectorAll("[data-groups-only]")) part.hidden = Boolean(state.tab);
    form.elements.level.closest("label").hidden = Boolean(state.tab) || !groups.coarse.length || !groups.fine.length;
    byId("facet-choice").hidden = about.group_facets.length < 2;
  }

  function stateOfControls() {
    const value = (name) => form.elements[name].value.trim();
    const facet = value("facet");
    return {
      facet: facet === about.group_facets[0] ? "" : facet, tab: prodseek.state().tab || "",
      level: value("level") === "coarse" ? "" : value("level"),
      find: value("find"), event: value("event"), least: Number(value("least")) > 0 ? value("least") : "", sort: value("sort"),
    };
  }

  function drawGroups(groups, facet, state, page) {
    const left = filtered(groups, state);
    const alone = Boolean(state.group);
    const filters = state.find || state.event || state.least || alone;
    const level = levelOf(state, groups);
    const n = level === "fine" ? groups.fine.length : groups.coarse.length + groups.fine.filter((one) => one.parent < 0).length;
    const one = left.length ? "One group, by its link." : "This report has no such group.";
    byId("count").textContent = n === 0 ? "No groups: no objects are alike enough, and many enough, to make one."
      : alone ? one : filters ? words.matched(left.length, "group", n) : words.counted(n, level + " group") + ".";
    byId("all").hidden = !filters;
    byId("all").href = prodseek.stateLink({ facet: state.facet, level: state.level, sort: state.sort });
    const cards = left.slice((page - 1) * CARDS_PER_PAGE, page * CARDS_PER_PAGE).map((at) => card(groups, facet, at, alone));
    return [cards, Math.ceil(left.length / CARDS_PER_PAGE)];
  }

  function drawOdd(groups, page) {
    const capped = groups.odd.length < groups.n_ungrouped
      ? " The report holds " + words.figure(groups.odd.length) + " of them; all are in the table curation_groups." : "";
    byId("count").textContent = words.counted(groups.n_ungrouped, "object") + " in no fine group, of " + words.figure(groups.n_regions) +
      "; the oddest first." + capped;
    const tiles = groups.odd.slice((page - 1) * ODD_PER_PAGE, page * ODD_PER_PAGE).map((number) => prodseek.objectTile(number));
    return [[make("div", { class: "gallery", "data-objects": true }, tiles)], Math.ceil(groups.odd.length / ODD_PER_PAGE)];
  }

  function drawOddCategory(groups, facet, page) {
    const { odd_category: odd, asked } = groups;
    byId("count").textContent = odd.length
      ? words.counted(odd.length, "object") + " like things of another category: the category is wrong, or the photo shows something else. The firmest members first."
      : "No object is like things of another category alone.";
    if (asked) byId("count").append(" This was " + asked + ".");
    const tiles = odd.slice((page - 1) * ODD_PER_PAGE, page * ODD_PER_PAGE).map(function ([number, at, of]) {
      const group = groups.fine[at];
      const place = !group ? ", in no group"
        : [", in ", make("a", { class: "text", dir: "auto", href: prodseek.groupLink(facet, "fine", at) }, group.title)];
      const note = make("p", { class: "small" }, prodseek.oddCategory(of), place);
      return prodseek.objectTile(number, { note });
    });
    return [[make("div", { class: "gallery", "data-objects": true }, tiles)], Math.ceil(odd.length / ODD_PER_PAGE)];
  }

  function drawGone(groups, page) {
    const { retired } = groups;
    byId("count").textContent = retired.length
      ? words.counted(retired.length, "group") + " of the last run " + (retired.length === 1 ? "is" : "are") + " no more."
      : "All groups of the last run are still there.";
    const rows = retired.slice((page - 1) * GONE_PER_PAGE, page * GONE_PER_PAGE).map((group) => make("li", null,
      make("span", { class: "text", dir: "auto" }, group.title), " ",
      make("span", { class: "note text" }, group.level + ", group " + group.group_id)));
    return [[make("ul", { class: "plain" }, rows)], Math.ceil(retired.length / GONE_PER_PAGE)];
  }

  async function draw() {
    drawing += 1;
    const mine = drawing;
    const state = prodseek.state();
    const facet = facetOf(state);
    const groups = await prodseek.load("groups-" + facet);
    if (mine !== drawing) return;
    drawControls(state, facet, groups);
    byId("all").hidden = true;
    const page = Math.max(1, Number.parseInt(state.page || "1", 10) || 1);
    const [parts, n_pages] = state.tab === "odd" ? drawOdd(groups, page)
      : state.tab === "category" ? drawOddCategory(groups, facet, page)
      : state.tab === "gone" ? drawGone(groups, page) : drawGroups(groups, facet, state, page);
    byId("cards").replaceChildren(...parts);
    byId("pager").replaceChildren(prodseek.pager(page, n_pages, state));
  }

  form.elements.facet.append(...about.group_facets.map((facet) => make("option", { value: facet }, facet)));
  form.elements.event.append(...Object.entries(words.EVENTS).map(([value, label]) => make("option", { value }, label)));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", prodseek.debounced(150, () => prodseek.go(stateOfControls(), true)));
  addEventListener("hashchange", () => { draw().catch(prodseek.fail); });
  form.hidden = byId("tabs").hidden = false;
  await draw();
});
