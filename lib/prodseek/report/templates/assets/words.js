"use strict";
// The report's wording in the browser; as wording.py has it.
(function () {
  const KINDS = {
    foreground: "thing on a plain background",
    frame: "the whole photo",
  };
  const EVENTS = {
    born: "new",
    grown: "grown",
    shrunk: "shrunk",
    merged: "merged",
    split: "split",
  };

  const figure = (value) => value.toLocaleString("en-GB");
  const counted = (n, noun) => figure(n) + " " + (n === 1 ? noun : noun + "s");

  // How many of all a filter leaves: "2 groups match, of 60."
  function matched(n, noun, n_all) {
    const found = n === 0 ? "No " + noun + " matches" : n === 1 ? "1 " + noun + " matches" : counted(n, noun) + " match";
    return found + ", of " + figure(n_all) + ".";
  }

  // A share 0..1; never rounded up to 100 or down to 0 %.
  function percent(share) {
    if (share > 0 && share < 0.01) return "under 1 %";
    if (share > 0.99 && share < 1) return (Math.floor(share * 1000) / 10).toFixed(1) + " %";
    return Math.round(share * 100) + " %";
  }

  function relative(uri) {
    const plain = uri.replace(/^file:\/\//, "");
    const root = prodseek.about.catalogue.replace(/^file:\/\//, "").replace(/\/+$/, "");
    for (const folder of [root, root.slice(0, Math.max(0, root.lastIndexOf("/")))]) {
      if (folder && plain.startsWith(folder + "/")) return plain.slice(folder.length + 1);
    }
    return uri;
  }

  const fileName = (uri) => uri.slice(uri.lastIndexOf("/") + 1) || uri;

  function photoAlt(photo) {
    const name = [photo.title, photo.product_id].filter(Boolean).join(" ");
    return (name || "Photo") + ": " + fileName(photo.uri);
  }

  const objectAlt = (shown) => (shown.class_name ? shown.class_name + ", " : "") + photoAlt(shown.photos[0]);

  function objectName(shown) {
    const photo = shown.photos[0];
    return photo.title || photo.product_id || relative(photo.uri);
  }

  // Without case and accents, to be searched in.
  const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const wordsOf = (text) => fold(text).split(/\s+/).filter(Boolean);
  const holdsAll = (folded, words) => words.every((word) => folded.includes(word));

  const verdict = (key) => prodseek.about.verdicts[key] || { label: key.replaceAll("_", " "), meaning: "", tabs: [] };
  const size = (photo) => figure(photo.width_px) + " × " + figure(photo.height_px) + " px";
  const kind = (shown) => shown.class_name || KINDS[shown.kind] || shown.kind;

  prodseek.words = {
    figure, counted, matched, percent, relative, fileName, photoAlt, objectAlt, objectName, fold, wordsOf, holdsAll, verdict, size, kind,
    EVENTS,
  };
})();
