"use strict";
// Names of groups on the map: none over another, the larger first, the finer ones as one comes nearer.
(function () {
  const PADDING_px = 4;
  const CELL_px = 64;
  const MAX_LETTERS = 34;
  const LINE_LETTERS = 17;
  const MAX_LABELS = 3000;

  // A title in one or two lines.
  function lines(title) {
    const short = title.length > MAX_LETTERS ? title.slice(0, MAX_LETTERS - 1).trimEnd() + "…" : title;
    if (short.length <= LINE_LETTERS) return [short];
    const breaks = Array.from(short.matchAll(/[\s,]\s*/g), (match) => match.index + match[0].length)
      .filter((at) => at < short.length);
    if (!breaks.length) return [short];
    const middle = short.length / 2;
    const at = breaks.reduce((best, one) => (Math.abs(one - middle) < Math.abs(best - middle) ? one : best));
    return [short.slice(0, at).trimEnd(), short.slice(at)];
  }

  // Labels by importance. found: what mapView.places gives; size_px from `least` to `most` with the square root of the count.
  prodseek.mapLabels = function (names, found, level, least_px, most_px) {
    const most = found.reduce((max, one) => Math.max(max, one.count), 1);
    return names.map((name, number) => ({ level, number, ...found[number], lines: lines(name),
      size_px: least_px + (most_px - least_px) * Math.sqrt(found[number].count / most), width: 0 }))
      .filter((label) => label.count > 0 && label.lines[0])
      .sort((a, b) => b.count - a.count).slice(0, MAX_LABELS);
  };

  // Which labels are shown at a scale (pixels a map unit) and where: boxes in pixels from the map's origin. `measure(label)` gives
  // a label's width in pixels. edges: of the whole map, in its units; names stay within them. Does not depend on what part of
  // the map is seen, so that labels keep still while it is moved.
  prodseek.placeLabels = function (labels, scale, measure, edges) {
    const cells = new Map();
    const placed = [];
    const key = (column, row) => column * 100003 + row;

    function cellsOf(box) {
      const keys = [];
      for (let column = Math.floor(box.left / CELL_px); column <= Math.floor(box.right / CELL_px); column += 1) {
        for (let row = Math.floor(box.top / CELL_px); row <= Math.floor(box.bottom / CELL_px); row += 1) keys.push(key(column, row));
      }
      return keys;
    }

    const within = (at, least, most, size) => Math.max(least * scale + size / 2, Math.min(most * scale - size / 2, at));

    const free = (box) => cellsOf(box).every((at) => (cells.get(at) || []).every((other) =>
      box.right <= other.left || box.left >= other.right || box.bottom <= other.top || box.top >= other.bottom));

    for (const label of labels) {
      const width = measure(label) + 2 * PADDING_px;
      const height = label.lines.length * label.size_px * 1.15 + 2 * PADDING_px;
      // A fine group is named once it is about as wide as its name.
      if (label.level === "fine" && label.spread * scale < 0.45 * width) continue;
      // A name that would hide its group goes above or below it.
      const beside = (label.spread * scale + height) / 2;
      const ways = beside < 1.8 * height ? [[0, -beside], [0, beside], [0, 0]] : [[0, 0], [0, -0.7 * height], [0, 0.7 * height]];
      for (const [right, down] of [...ways, [0.45 * width, 0], [-0.45 * width, 0]]) {
        const x = within(label.x * scale + right, edges.left, edges.right, width);
        const y = within(label.y * scale + down, edges.top, edges.bottom, height);
        const box = { left: x - width / 2, right: x + width / 2, top: y - height / 2, bottom: y + height / 2, x, y, label };
        if (!free(box)) continue;
        for (const at of cellsOf(box)) {
          if (cells.has(at)) cells.get(at).push(box);
          else cells.set(at, [box]);
        }
        placed.push(box);
        break;
      }
    }
    return placed;
  };
})();
