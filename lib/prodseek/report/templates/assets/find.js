"use strict";
// Find: products, titles, file names and regions, over all objects of the report.
(function () {
  const { make, words, byId } = prodseek;
  const HITS_KEPT = 200;
  const texts = new Map(); // shard -> what is searched in, one text for each object
  let finder = null;
  let search = 0;

  async function textsOf(shard) {
    if (!texts.has(shard)) {
      const objects = await prodseek.load(prodseek.shardName("objects", shard));
      texts.set(shard, objects.map((shown) => words.fold(
        [shown.detection_id, ...shown.photos.flatMap((row) => [row.product_id, row.title, words.relative(row.uri)])].join(" "))));
    }
    return texts.get(shard);
  }

  // Numbers of the first hits and how many there are; `tell` hears how far it is. null when `stop()` says so.
  prodseek.findObjects = async function (text, tell, stop) {
    const { n_objects, objects_per_shard } = prodseek.about;
    const n_shards = Math.ceil(n_objects / objects_per_shard);
    const asked = words.wordsOf(text);
    const hits = [];
    let n_hits = 0;
    for (let shard = 0; shard < n_shards; shard += 1) {
      const folded = await textsOf(shard);
      if (stop()) return null;
      folded.forEach(function (one, place) {
        if (!words.holdsAll(one, asked)) return;
        n_hits += 1;
        if (hits.length < HITS_KEPT) hits.push(shard * objects_per_shard + place);
      });
      tell(shard + 1, n_shards, hits, n_hits);
    }
    return { hits, n_hits };
  };

  function open(text) {
    finder = finder || makeWindow();
    finder.input.value = text;
    if (!finder.dialog.open) finder.dialog.showModal();
    finder.input.focus();
    run();
  }

  function makeWindow() {
    const made = prodseek.dialog("panel find", "Find");
    made.input = make("input", { type: "search", id: "find-again", autocomplete: "off", placeholder: "product, title or file" });
    made.input.addEventListener("input", prodseek.debounced(250, run));
    made.status = make("p", { class: "note", role: "status" });
    made.progress = make("progress", { max: "1", value: "0", "aria-label": "Files searched" });
    made.hits = make("div", { class: "gallery row", "data-objects": true });
    made.bar.prepend(make("label", { for: "find-again" }, "Find"), made.input);
    made.body.append(made.status, made.progress, made.hits);
    return made;
  }

  async function run() {
    search += 1;
    const mine = search;
    const { input, status, progress, hits } = finder;
    const text = input.value.trim();
    hits.replaceChildren();
    progress.hidden = !text;
    status.textContent = text ? "" : "Words of a product, a title or a file name, or the number of a region.";
    if (!text) return;
    let n_shown = 0;
    function tell(n_done, n_all, found) {
      progress.max = n_all;
      progress.value = n_done;
      hits.append(...found.slice(n_shown).map((number) => prodseek.objectTile(number)));
      n_shown = found.length;
    }
    try {
      const found = await prodseek.findObjects(text, tell, () => mine !== search);
      if (!found) return;
      const capped = found.n_hits > found.hits.length;
      status.textContent = found.n_hits === 0 ? "Nothing matches “" + text + "”."
        : words.counted(found.n_hits, "object") + (capped ? "; the first " + found.hits.length + " are shown." : ".");
      if (found.n_hits === 0 && prodseek.about.n_objects < prodseek.about.n_images) {
        status.textContent += " Not all images of the run are in this report.";
      }
    } catch (error) {
      status.textContent = error.message;
    }
    progress.hidden = true;
  }

  if (!prodseek.about) return;
  byId("find").hidden = false;
  byId("find-words").addEventListener("keydown", function (event) {
    if (event.key === "Enter" && event.target.value.trim()) open(event.target.value);
  });
  document.addEventListener("keydown", function (event) {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input:not([type=checkbox], [type=range], [type=radio]), select, textarea")) return;
    event.preventDefault();
    byId("find-words").focus();
  });
})();
