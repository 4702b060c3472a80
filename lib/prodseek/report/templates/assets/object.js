"use strict";
// What is known of one object: on a page of its own, and in a panel on every other page.
(function () {
  const { make, words } = prodseek;
  const FACETS = { likeness: "Most like it", visual: "Of its kind", colour: "By colour", texture: "By texture", shape: "By shape" };

  const RANKED_BY = { likeness: "cosine similarity, less half of how near it is to anything" };

  // Everything about object `number`, as an element. Throws an Error for people where there is no such object.
  prodseek.describeObject = async function (number) {
    const about = prodseek.about;
    if (!Number.isInteger(number) || number < 0 || number >= about.n_objects) {
      if (about.n_objects === 0) throw new Error("This report has no objects.");
      throw new Error("This report has no object of this number. Its objects are 0 to " + (about.n_objects - 1) + ".");
    }
    const shown = await prodseek.object(number);
    const head = make("div", { class: "object-head" }, photo(number, shown), facts(shown));
    const rest = await Promise.all([likeIt(number), inGroup(shown), copies(number, shown), apart(number, shown)]);
    return { name: words.objectName(shown), element: make("div", { class: "object" }, head, rest) };
  };

  function photo(number, shown) {
    const whole = shown.box_px.map((edge) => Math.round(edge)).join() === [0, 0, shown.width_px, shown.height_px].join();
    const others = shown.others.map((other) => ({
      box_px: other.box_px, name: "other", title: other.class_name + " " + words.percent(other.score),
    }));
    const frames = prodseek.frames(shown.width_px, shown.height_px,
      [...others, whole ? null : { box_px: shown.box_px, name: "" }]);
    const tile = prodseek.tile(number, "photos", words.objectAlt(shown), frames, true);
    tile.classList.add("whole");
    tile.style.aspectRatio = shown.width_px + " / " + shown.height_px;
    const seen = shown.others.map((other) => other.class_name + " " + words.percent(other.score)).join(", ");
    return make("figure", null, tile, seen && make("figcaption", { class: "small text" }, "Also in the photo: " + seen));
  }

  function fact(name, ...values) {
    return values.length > 0 && make("div", null, make("dt", null, name), values.map((value) => make("dd", null, value)));
  }

  function facts(shown) {
    const about = prodseek.about;
    const text = (value) => make("span", { class: "text", dir: "auto" }, value);
    const distinct = (values) => Array.from(new Set(values.filter(Boolean)));
    const box = shown.box_px.map((edge) => words.figure(Math.round(edge))).join(", ");
    return make("dl", { class: "object-facts" },
      fact("Title", ...distinct(shown.photos.map((row) => row.title)).map(text)),
      fact(shown.photos.length > 1 ? "Products" : "Product", ...distinct(shown.photos.map((row) => row.product_id)).map(text)),
      fact(shown.photos.length > 1 ? "Files" : "File", ...shown.photos.map((row) => text(words.relative(row.uri)))),
      fact("Object", words.kind(shown)),
      fact("Box", box + " px"),
      fact("Photo", words.size(shown)),
      shown.group >= 0 && about.group_facets.includes("visual")
        && fact("Membership", shown.membership.toFixed(2)),
      fact("Outlier score", shown.outlier_score.toFixed(2)),
      fact("Region", make("code", { class: "text" }, shown.detection_id)),
    );
  }

  function section(title, ...parts) {
    return make("section", null, make("h3", null, title), parts);
  }

  async function likeIt(number) {
    if (!prodseek.about.facets.length) return null;
    const neighbours = await prodseek.neighbours(number);
    return prodseek.about.facets.map(function (facet) {
      const found = neighbours[facet] || [];
      const tiles = found.map(([other, score]) => prodseek.objectTile(other,
        { note: make("p", { class: "small cosine", title: RANKED_BY[facet] || "cosine similarity, " + facet }, score.toFixed(3)) }));
      return section(FACETS[facet] || "By " + facet,
        tiles.length ? make("div", { class: "gallery row", "data-objects": true }, tiles) : make("p", { class: "note" }, "Nothing is like it."));
    });
  }

  async function inGroup(shown) {
    if ((shown.group < 0 && shown.coarse < 0) || !prodseek.about.group_facets.includes("visual")) return null;
    const groups = await prodseek.load("groups-visual");
    const named = [["coarse", shown.coarse, groups.coarse], ["fine", shown.group, groups.fine]]
      .filter(([, at, list]) => at >= 0 && list[at]);
    const [, , list] = named[named.length - 1] || [];
    if (!list) return null;
    const members = list[named[named.length - 1][1]].members;
    const path = named.flatMap(([level, at, all], place) => [place ? " › " : null,
      make("a", { class: "text", href: prodseek.groupLink("visual", level, at) }, all[at].title),
      make("span", { class: "note" }, " " + words.counted(all[at].n_regions, "object"))]);
    const odd = shown.odd_category && make("p", null, make("span", { class: "badge" }, "another category"),
      " ", prodseek.oddCategory(shown.odd_category), ": the category is wrong, or the photo shows something else.");
    return section("Its group", make("p", null, path), odd,
      make("div", { class: "gallery row", "data-objects": true }, members.slice(0, 12).map((one) => prodseek.objectTile(one))));
  }

  prodseek.oddCategory = (of) => make("span", null, "filed as ", make("strong", { class: "text", dir: "auto" }, of.filed_as), "; like ",
    make("strong", { class: "text", dir: "auto" }, of.like), " (" + of.n_like + " of " + of.n_asked + " nearest)");

  prodseek.groupLink = (facet, level, at) => "groups.html" + prodseek.stateLink({ facet, group: level + "-" + at });

  function verdictNote(likeness) {
    return make("p", { class: "small" },
      make("span", { class: "badge", title: words.verdict(likeness.verdict).meaning }, words.verdict(likeness.verdict).label));
  }

  async function copies(number, shown) {
    if (shown.duplicates < 0) return null;
    const group = await prodseek.duplicateGroup(shown.duplicates);
    const keep = make("p", { class: "small" }, make("span", { class: "chip" }, "keep"), " ",
      make("span", { class: "text" }, group.kept_because));
    const tiles = [prodseek.objectTile(group.representative.object, { note: keep }),
      ...group.copies.map((copy) => prodseek.objectTile(copy.photo.object, { note: verdictNote(copy.likeness) }))];
    return section("Copies of this photo",
      make("p", null, make("a", { href: "duplicates.html" + prodseek.stateLink({ group: shown.duplicates }) },
        "Compare the " + words.counted(group.n_photos, "photo"))),
      make("div", { class: "gallery row", "data-objects": true }, tiles));
  }

  async function apart(number, shown) {
    if (!shown.pairs.length) return null;
    const pairs = await Promise.all(shown.pairs.map(prodseek.pairApart));
    const tiles = { look: [], apart: [] };
    pairs.forEach(function (pair, place) {
      const tab = shown.pairs[place] < prodseek.about.n_pairs_to_look_at ? "look" : "apart";
      const other = pair.a.object === number ? pair.b : pair.a;
      const link = "duplicates.html" + prodseek.stateLink({ tab, group: shown.pairs[place] });
      const note = verdictNote(pair.likeness);
      note.append(" ", make("a", { href: link }, "compare"));
      tiles[tab].push(prodseek.objectTile(other.object, { note }));
    });
    const gallery = (title, some) => some.length > 0 &&
      section(title, make("div", { class: "gallery row", "data-objects": true }, some));
    return [gallery("To look at: a person decides", tiles.look), gallery("Alike, but no copies", tiles.apart)];
  }

  // The panel. `around`: the objects that the arrow keys go through, such as those of the gallery.
  let panel = null;
  let visits = []; // of {number, around}, the last one is shown

  prodseek.showObject = function (number, around) {
    panel = panel || makePanel();
    if (!panel.dialog.open) {
      visits = [];
      panel.dialog.showModal();
    }
    visits.push({ number, around: around && around.includes(number) ? around : [number] });
    show();
  };

  function makePanel() {
    const made = prodseek.dialog("panel", "Object");
    made.back = prodseek.button("Back", function () { visits.pop(); show(); });
    made.previous = prodseek.button("‹", () => step(-1), { "aria-label": "Previous object" });
    made.next = prodseek.button("›", () => step(1), { "aria-label": "Next object" });
    made.place = make("span", { class: "note" });
    made.own = make("a", { href: "object.html" }, "Own page");
    made.bar.prepend(made.back, made.previous, made.place, made.next, make("span", { class: "space" }), made.own);
    made.title = make("h2", { class: "text", dir: "auto", tabindex: "-1" });
    made.content = make("div");
    made.body.append(made.title, made.content);
    made.dialog.addEventListener("keydown", function (event) {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "ArrowLeft") step(-1);
      else if (event.key === "ArrowRight") step(1);
      else return;
      event.preventDefault();
    });
    return made;
  }

  function step(by) {
    const visit = visits[visits.length - 1];
    const to = visit.around.indexOf(visit.number) + by;
    if (to < 0 || to >= visit.around.length) return;
    visit.number = visit.around[to];
    show();
  }

  async function show() {
    const visit = visits[visits.length - 1];
    const at = visit.around.indexOf(visit.number);
    const lone = visit.around.length < 2;
    panel.back.hidden = visits.length < 2;
    panel.previous.hidden = panel.next.hidden = panel.place.hidden = lone;
    panel.previous.disabled = at === 0;
    panel.next.disabled = at === visit.around.length - 1;
    panel.place.textContent = words.figure(at + 1) + " of " + words.figure(visit.around.length);
    panel.own.href = "object.html#" + visit.number;
    const number = visit.number;
    let described;
    try {
      described = await prodseek.describeObject(number);
    } catch (error) {
      described = { name: "Object " + number, element: make("p", { class: "failure", role: "alert" }, error.message) };
    }
    if (visits.length === 0 || visits[visits.length - 1].number !== number) return; // another was asked for meanwhile
    panel.title.textContent = described.name;
    panel.content.replaceChildren(described.element);
    panel.dialog.scrollTop = 0;
    panel.title.focus();
  }

  document.addEventListener("click", function (event) {
    const link = event.target.closest("[data-object]");
    if (!link || document.body.dataset.page === "object" || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const list = link.closest("[data-objects]");
    const around = list && Array.from(list.querySelectorAll("[data-object]"), (one) => Number(one.dataset.object));
    prodseek.showObject(Number(link.dataset.object), around && Array.from(new Set(around)));
  });
})();
