"use strict";
// The map's arithmetic: points, colours and the place of both on the screen. Nothing here touches the page.
(function () {
  const NONE = 0xFFFFFFFF;
  const FULL = 65535; // x and y over the map's longer side
  const [MARGIN_x_px, MARGIN_y_px] = [50, 35]; // for the names of groups at the edge
  const GRID = 256; // cells a side, for finding the point under the pointer
  // Paul Tol's "muted" and "light" schemes: told apart with any colour vision (SRON/EPS/TN/09-002).
  const PALETTE = {
    light: ["#332288", "#cc6677", "#117733", "#5fb3dd", "#882255", "#999933", "#44aa99", "#aa4499", "#c2a63c"],
    dark: ["#77aadd", "#ee8866", "#bbcc33", "#99ddff", "#ffaabb", "#aaaa00", "#44bb99", "#eedd88", "#d7a6e8"],
  };
  const N_COLOURS = PALETTE.light.length;

  function bytes(base64) {
    const text = atob(base64);
    const raw = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) raw[i] = text.charCodeAt(i);
    return new DataView(raw.buffer);
  }

  function numbers(base64, size, kind, read) {
    const raw = bytes(base64);
    const values = new kind(raw.byteLength / size);
    for (let i = 0; i < values.length; i += 1) values[i] = raw[read](i * size, true); // little-endian on any machine
    return values;
  }

  const uint16 = (base64) => numbers(base64, 2, Uint16Array, "getUint16");
  const uint32 = (base64) => numbers(base64, 4, Uint32Array, "getUint32");

  // Points with a grid over them: `order` lists the points cell by cell, `starts` where each cell's begin. y goes downwards.
  function points(map) {
    const xs = Float32Array.from(uint16(map.x), (value) => value / FULL);
    const ys = Float32Array.from(uint16(map.y), (value) => 1 - value / FULL);
    const n = xs.length;
    const cell = (value) => Math.min(GRID - 1, Math.floor(value * GRID));
    const starts = new Uint32Array(GRID * GRID + 1);
    for (let i = 0; i < n; i += 1) starts[cell(ys[i]) * GRID + cell(xs[i]) + 1] += 1;
    for (let i = 0; i < GRID * GRID; i += 1) starts[i + 1] += starts[i];
    const next = starts.slice();
    const order = new Uint32Array(n);
    for (let i = 0; i < n; i += 1) order[next[cell(ys[i]) * GRID + cell(xs[i])]++] = i;
    return { n, xs, ys, starts, order };
  }

  // The point nearest to (x, y) within `reach`, all in map units; -1 where there is none.
  function nearest({ xs, ys, starts, order }, x, y, reach) {
    const cell = (value) => Math.max(0, Math.min(GRID - 1, Math.floor(value * GRID)));
    let best = -1;
    let bestSquare = reach * reach;
    for (let row = cell(y - reach); row <= cell(y + reach); row += 1) {
      for (let at = starts[row * GRID + cell(x - reach)]; at < starts[row * GRID + cell(x + reach) + 1]; at += 1) {
        const i = order[at];
        const square = (xs[i] - x) ** 2 + (ys[i] - y) ** 2;
        if (square < bestSquare) { bestSquare = square; best = i; }
      }
    }
    return best;
  }

  // Where each name's points lie: their medians, how far they spread, and how many they are.
  function places({ n, xs, ys }, values, n_names) {
    const counts = new Uint32Array(n_names);
    for (let i = 0; i < n; i += 1) if (values[i] !== NONE) counts[values[i]] += 1;
    const starts = new Uint32Array(n_names + 1);
    for (let i = 0; i < n_names; i += 1) starts[i + 1] = starts[i] + counts[i];
    const next = starts.slice();
    const sortedX = new Float32Array(starts[n_names]);
    const sortedY = new Float32Array(starts[n_names]);
    for (let i = 0; i < n; i += 1) {
      if (values[i] === NONE) continue;
      const at = next[values[i]]++;
      sortedX[at] = xs[i];
      sortedY[at] = ys[i];
    }
    return Array.from(counts, function (count, name) {
      if (!count) return { count, x: 0, y: 0, spread: 0 };
      const x = sortedX.subarray(starts[name], starts[name + 1]).sort();
      const y = sortedY.subarray(starts[name], starts[name + 1]).sort();
      const at = (list, share) => list[Math.min(list.length - 1, Math.floor(share * list.length))];
      return { count, x: at(x, 0.5), y: at(y, 0.5), spread: Math.max(at(x, 0.8) - at(x, 0.2), at(y, 0.8) - at(y, 0.2)) };
    });
  }

  // A place in the palette for each name. Names that lie side by side get different ones; beyond the first hundreds they take turns.
  function turns(found) {
    const given = [];
    found.forEach(function (one, name) {
      if (name >= 400) { given.push(name % N_COLOURS); return; }
      const worst = new Array(N_COLOURS).fill(0);
      for (let other = 0; other < name; other += 1) {
        const square = (found[other].x - one.x) ** 2 + (found[other].y - one.y) ** 2;
        worst[given[other]] = Math.max(worst[given[other]], 1 / (square + 1e-6));
      }
      let best = name % N_COLOURS;
      for (let turn = 0; turn < N_COLOURS; turn += 1) if (worst[turn] < worst[best]) best = turn;
      given.push(best);
    });
    return given;
  }

  // The view that holds all points: centre in map units and pixels a unit.
  function fit({ n, xs, ys }, width_px, height_px) {
    let [left, top, right, bottom] = [1, 1, 0, 0];
    for (let i = 0; i < n; i += 1) {
      left = Math.min(left, xs[i]);
      right = Math.max(right, xs[i]);
      top = Math.min(top, ys[i]);
      bottom = Math.max(bottom, ys[i]);
    }
    if (right < left) return { x: 0.5, y: 0.5, scale: Math.min(width_px, height_px) };
    const scale = Math.min((width_px - 2 * MARGIN_x_px) / Math.max(right - left, 0.02),
      (height_px - 2 * MARGIN_y_px) / Math.max(bottom - top, 0.02));
    return { x: (left + right) / 2, y: (top + bottom) / 2, scale };
  }

  prodseek.mapView = { NONE, PALETTE, N_COLOURS, uint32, points, nearest, places, turns, fit };
})();
