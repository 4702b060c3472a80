"use strict";
// The map page: all objects as points, those that are alike side by side.
prodseek.start(async function (about) {
  const { make, words, byId, mapView } = prodseek;
  const REACH_px = 12;
  const PAN_px = 60;
  const ZOOM = 1.35;
  const FURTHEST = 0.6; // of the view that holds everything
  const NEAREST_px = 400000; // pixels a map unit
  const ENTRIES_AT_FIRST = 40;
  const MAX_SMOOTH = 5000; // points drawn with smooth edges; more are written pixel by pixel
  const DIM = { light: "#c9cac6", dark: "#44484e" };
  const OTHER = { light: "#8d9096", dark: "#868b93" };

  const map = await prodseek.load("map");
  const points = mapView.points(map);
  const canvas = byId("map");
  const context = canvas.getContext("2d");
  const tip = byId("tip");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const columns = new Map(map.columns.map((column) => [column.name, prepared(column)]));
  if (points.n === 0) {
    canvas.replaceWith(make("p", { class: "gone" }, "There are no objects to show."));
    return;
  }

  // --- columns: what points are coloured by --------------------------------------------------------------------------

  function prepared(column) {
    const values = mapView.uint32(column.values);
    const found = mapView.places(points, values, column.names.length);
    const isGroup = column.name === "coarse" || column.name === "fine";
    // Names of a closed list of colours have their own; groups take turns; of anything else the most frequent have one each.
    const turn = isGroup ? mapView.turns(found) : column.names.map((_, place) => (place < mapView.N_COLOURS ? place : mapView.N_COLOURS));
    return { ...column, values, found, isGroup, turn, own: column.colours.length > 0 };
  }

  const theme = () => (dark.matches ? "dark" : "light");
  function colourOf(column, value) {
    if (column.own) return column.colours[value] || OTHER[theme()];
    return mapView.PALETTE[theme()][column.turn[value]] || OTHER[theme()];
  }

  // The colour of what is highlighted: never the grey that many names share.
  function lit(column, value) {
    const colour = colourOf(column, value);
    return colour === OTHER[theme()] ? mapView.PALETTE[theme()][0] : colour;
  }

  const columnOf = (state) => columns.get(state.by) || columns.values().next().value;

  // Points colour by colour, so that the brush changes a dozen times a frame and not once a point.
  let layers = [];
  function layOut(state) {
    const column = columnOf(state);
    const on = state.on === undefined ? -1 : Number(state.on);
    const byColour = new Map([[OTHER[theme()], []]]); // what has no colour of its own lies below what has
    const none = [];
    for (let i = 0; i < points.n; i += 1) {
      const value = column ? column.values[i] : mapView.NONE;
      if (value === mapView.NONE || (on >= 0 && value !== on)) { none.push(i); continue; }
      const colour = on >= 0 ? lit(column, value) : colourOf(column, value);
      if (!byColour.has(colour)) byColour.set(colour, []);
      byColour.get(colour).push(i);
    }
    layers = [[DIM[theme()], Uint32Array.from(none)], ...Array.from(byColour, ([colour, list]) => [colour, Uint32Array.from(list)])];
  }

  // --- labels --------------------------------------------------------------------------------------------------------

  const [coarse, fine] = [columns.get("coarse"), columns.get("fine")];
  let labels = [];
  let labelSize = 0;
  let placed = { scale: 0, boxes: [] }; // where the labels are at a scale

  // Smaller letters on a narrow map.
  function makeLabels() {
    const size = width < 640 ? 0.8 : 1;
    if (size === labelSize) return;
    labelSize = size;
    labels = [
      ...(coarse ? prodseek.mapLabels(coarse.names, coarse.found, "coarse", 13 * size, 24 * size) : []),
      ...(fine ? prodseek.mapLabels(fine.names, fine.found, "fine", 11 * size, 15 * size) : []),
    ];
    placed = { scale: 0, boxes: [] };
  }

  const { fontFamily } = getComputedStyle(document.body);
  const font = (label) => (label.level === "coarse" ? "600 " : "500 ") + label.size_px + "px " + fontFamily;

  function measure(label) {
    if (!label.width) {
      context.font = font(label);
      label.width = Math.max(...label.lines.map((line) => context.measureText(line).width));
    }
    return label.width;
  }

  function drawLabels() {
    if (placed.scale !== view.scale || placed.whole !== whole) {
      const [reach_x, reach_y] = [width / 2 / whole.scale, height / 2 / whole.scale];
      const edges = { left: whole.x - reach_x, right: whole.x + reach_x, top: whole.y - reach_y, bottom: whole.y + reach_y };
      placed = { scale: view.scale, whole, boxes: prodseek.placeLabels(labels, view.scale, measure, edges) };
    }
    const style = getComputedStyle(document.documentElement);
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.strokeStyle = style.getPropertyValue("--surface");
    context.fillStyle = style.getPropertyValue("--ink");
    const [left, top] = [width / 2 - view.x * view.scale, height / 2 - view.y * view.scale];
    const shown = byId("show-labels").checked ? placed.boxes : [];
    for (const { x, y, label } of shown) {
      const [at_x, at_y] = [x + left, y + top];
      if (at_x < -200 || at_x > width + 200 || at_y < -60 || at_y > height + 60) continue;
      context.font = font(label);
      context.lineWidth = label.level === "coarse" ? 5 : 3.5;
      label.lines.forEach(function (line, place) {
        const down = (place - (label.lines.length - 1) / 2) * label.size_px * 1.15;
        context.strokeText(line, at_x, at_y + down);
        context.fillText(line, at_x, at_y + down);
      });
    }
  }

  // --- drawing -------------------------------------------------------------------------------------------------------

  let width = 0;
  let height = 0;
  let view = { x: 0.5, y: 0.5, scale: 1 };
  let whole = view;
  let focused = -1; // the point whose tip is shown
  let byKeyboard = false;
  let asked = false;

  const screen = (i) => [(points.xs[i] - view.x) * view.scale + width / 2, (points.ys[i] - view.y) * view.scale + height / 2];

  function radius_px() {
    const near = Math.sqrt(width * height / points.n);
    return Math.min(9, Math.max(0.9, Math.min(5, 0.3 * near)) * (view.scale / whole.scale) ** 0.4);
  }

  function circle(colour, radius, ratio) {
    const sprite = document.createElement("canvas");
    sprite.width = sprite.height = Math.ceil((2 * radius + 2) * ratio);
    const brush = sprite.getContext("2d");
    brush.scale(ratio, ratio);
    brush.beginPath();
    brush.arc(radius + 1, radius + 1, radius, 0, 2 * Math.PI);
    brush.fillStyle = colour;
    brush.fill();
    brush.lineWidth = 0.7;
    brush.strokeStyle = dark.matches ? "#0009" : "#0006";
    brush.stroke();
    return sprite;
  }

  // How many points lie in what is seen; counted no further than `enough`.
  function n_seen(enough) {
    const [reach_x, reach_y] = [width / 2 / view.scale, height / 2 / view.scale];
    let n = 0;
    for (let i = 0; i < points.n && n < enough; i += 1) {
      if (Math.abs(points.xs[i] - view.x) < reach_x && Math.abs(points.ys[i] - view.y) < reach_y) n += 1;
    }
    return n;
  }

  function drawSmooth(radius, ratio) {
    const [scale, left, top] = [view.scale, width / 2 - view.x * view.scale, height / 2 - view.y * view.scale];
    const side = 2 * radius + 2;
    for (const [colour, list] of layers) {
      const sprite = circle(colour, radius, ratio);
      for (const i of list) {
        const x = points.xs[i] * scale + left;
        const y = points.ys[i] * scale + top;
        if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
        context.drawImage(sprite, x - side / 2, y - side / 2, side, side);
      }
    }
  }

  // Several times faster than asking the canvas for each point.
  function drawPixels(radius, ratio) {
    const [across, down] = [canvas.width, canvas.height];
    const image = context.createImageData(across, down);
    const pixels = new DataView(image.data.buffer);
    const side = Math.max(2, Math.round(2 * radius * ratio));
    const spans = Array.from({ length: side }, function (_, row) { // of a disc: how far from its left edge each row begins
      const off = (row + 0.5) / side * 2 - 1;
      return side < 4 ? 0 : Math.round(side / 2 * (1 - Math.sqrt(1 - off * off)));
    });
    const scale = view.scale * ratio;
    const [left, top] = [across / 2 - view.x * scale - side / 2, down / 2 - view.y * scale - side / 2];
    for (const [colour, list] of layers) {
      context.fillStyle = colour;
      const rgba = (Number.parseInt(context.fillStyle.slice(1), 16) * 256 + 255) >>> 0;
      for (const i of list) {
        const x = Math.round(points.xs[i] * scale + left);
        const y = Math.round(points.ys[i] * scale + top);
        if (x < 0 || y < 0 || x + side > across || y + side > down) continue;
        for (let row = 0; row < side; row += 1) {
          const end = x + side - spans[row];
          for (let column = x + spans[row]; column < end; column += 1) pixels.setUint32(4 * ((y + row) * across + column), rgba);
        }
      }
    }
    context.putImageData(image, 0, 0);
  }

  function draw() {
    asked = false;
    const ratio = devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const radius = radius_px();
    if (n_seen(MAX_SMOOTH) < MAX_SMOOTH) drawSmooth(radius, ratio);
    else drawPixels(radius, ratio);
    drawLabels();
    if (focused >= 0) {
      const [x, y] = screen(focused);
      context.beginPath();
      context.arc(x, y, radius + 4, 0, 2 * Math.PI);
      context.lineWidth = 2.5;
      context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--ink");
      context.stroke();
      placeTip(x, y);
    }
    canvas.dataset.drawn = String(Number(canvas.dataset.drawn || 0) + 1);
  }

  function redraw() {
    if (!asked) requestAnimationFrame(draw);
    asked = true;
  }

  // --- moving about --------------------------------------------------------------------------------------------------

  function zoom(by, x = width / 2, y = height / 2) {
    const scale = Math.min(NEAREST_px, Math.max(FURTHEST * whole.scale, view.scale * by));
    // What lies under (x, y) stays there.
    view = {
      x: view.x + (x - width / 2) * (1 / view.scale - 1 / scale),
      y: view.y + (y - height / 2) * (1 / view.scale - 1 / scale), scale,
    };
    moved();
  }

  function pan(right_px, down_px) {
    view = { ...view, x: Math.min(1, Math.max(0, view.x - right_px / view.scale)), y: Math.min(1, Math.max(0, view.y - down_px / view.scale)) };
    moved();
  }

  function reset() {
    view = { ...whole };
    moved();
  }

  function moved() {
    if (byKeyboard) focusPoint(mapView.nearest(points, view.x, view.y, 80 / view.scale));
    redraw();
  }

  function pointAt(x, y) {
    return mapView.nearest(points, (x - width / 2) / view.scale + view.x, (y - height / 2) / view.scale + view.y,
      Math.max(REACH_px, radius_px() + 3) / view.scale);
  }

  const pointers = new Map();
  let travelled = 0;
  const place = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };

  canvas.addEventListener("pointerdown", function (event) {
    byKeyboard = false;
    canvas.setPointerCapture(event.pointerId);
    if (pointers.size === 0) travelled = 0;
    pointers.set(event.pointerId, place(event));
  });
  canvas.addEventListener("pointermove", function (event) {
    const [x, y] = place(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      byKeyboard = false;
      focusPoint(pointAt(x, y));
      return;
    }
    const others = Array.from(pointers).filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    pointers.set(event.pointerId, [x, y]);
    travelled += Math.hypot(x - before[0], y - before[1]);
    if (travelled > 4) focusPoint(-1);
    if (others.length === 0) {
      pan(x - before[0], y - before[1]);
    } else {
      const [other] = others;
      const apart = (at) => Math.max(10, Math.hypot(at[0] - other[0], at[1] - other[1]));
      pan((x - before[0]) / 2, (y - before[1]) / 2);
      zoom(apart([x, y]) / apart(before), (x + other[0]) / 2, (y + other[1]) / 2);
    }
  });
  for (const type of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(type, function (event) {
      const alone = pointers.size === 1;
      pointers.delete(event.pointerId);
      if (type !== "pointerup" || !alone || travelled > 4) return;
      const number = pointAt(...place(event));
      if (number >= 0) prodseek.showObject(number);
    });
  }
  canvas.addEventListener("pointerleave", () => { if (!byKeyboard) focusPoint(-1); });
  canvas.addEventListener("wheel", function (event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
    zoom(Math.exp(-Math.max(-200, Math.min(200, event.deltaY * lines)) * 0.0022), ...place(event));
  }, { passive: false });
  canvas.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = {
      ArrowLeft: () => pan(PAN_px, 0), ArrowRight: () => pan(-PAN_px, 0), ArrowUp: () => pan(0, PAN_px), ArrowDown: () => pan(0, -PAN_px),
      "+": () => zoom(ZOOM), "=": () => zoom(ZOOM), "-": () => zoom(1 / ZOOM), "0": reset,
      Enter: () => { if (focused >= 0) prodseek.showObject(focused); },
    };
    if (event.key === "Escape") { byKeyboard = false; focusPoint(-1); redraw(); return; }
    if (!moves[event.key]) return;
    event.preventDefault();
    byKeyboard = true;
    moves[event.key]();
  });
  canvas.addEventListener("blur", () => { byKeyboard = false; });
  byId("zoom-in").addEventListener("click", () => zoom(ZOOM));
  byId("zoom-out").addEventListener("click", () => zoom(1 / ZOOM));
  byId("zoom-all").addEventListener("click", reset);
  byId("show-labels").addEventListener("change", redraw);

  // --- the tip -------------------------------------------------------------------------------------------------------

  const fillTip = prodseek.debounced(70, async function () {
    const number = focused;
    if (number < 0) return;
    try {
      const [shown, picture] = await Promise.all([prodseek.object(number), prodseek.picture("regions", number)]);
      if (focused !== number) return;
      const groups = [coarse, fine].filter((column) => column && column.values[number] !== mapView.NONE)
        .map((column) => column.names[column.values[number]]);
      tip.replaceChildren(
        make("div", { class: "tile" }, picture ? make("img", { alt: "", src: "data:image/webp;base64," + picture })
          : make("span", { class: "gone" }, "The photo cannot be read any more.")),
        make("p", { class: "title text", dir: "auto" }, words.objectName(shown)),
        make("p", { class: "small text", dir: "auto" }, groups.length ? Array.from(new Set(groups)).join(" › ") : "in no group"));
      tip.dataset.number = number;
      tip.hidden = false;
      if (byKeyboard) byId("map-status").textContent = words.objectAlt(shown) + "; " + (groups.join(", ") || "in no group");
      redraw();
    } catch (error) {
      prodseek.fail(error);
    }
  });

  function focusPoint(number) {
    if (number === focused) return;
    focused = number;
    canvas.style.cursor = number >= 0 ? "pointer" : "";
    tip.hidden = true;
    if (number >= 0) fillTip();
    redraw();
  }

  function placeTip(x, y) {
    const [tip_width, tip_height] = [tip.offsetWidth, tip.offsetHeight];
    const left = x + 16 + tip_width < width ? x + 16 : x - 16 - tip_width;
    tip.style.left = Math.max(4, Math.min(width - tip_width - 4, left)) + "px";
    tip.style.top = Math.max(4, Math.min(height - tip_height - 4, y - tip_height / 2)) + "px";
  }

  // --- the legend ----------------------------------------------------------------------------------------------------

  let n_entries = ENTRIES_AT_FIRST;

  function entry(column, value, state) {
    const on = String(value) === state.on;
    const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.backgroundColor = colourOf(column, value);
    const button = prodseek.button("", () => prodseek.go({ ...prodseek.state(), on: on ? "" : value }, true),
      { class: "entry", "aria-pressed": on ? "true" : "false" });
    button.append(swatch, make("span", { class: "text", dir: "auto" }, column.names[value]),
      make("span", { class: "note" }, words.figure(column.found[value].count)));
    return make("li", null, button, column.isGroup && make("a", { class: "small", href: prodseek.groupLink("visual", column.name, value),
      "aria-label": "Gallery of " + column.names[value] }, "gallery"));
  }

  function drawLegend(state) {
    const column = columnOf(state);
    const asked = words.wordsOf(byId("legend-find").value);
    const all = column.names.map((_, value) => value).filter((value) => column.found[value].count
      && (!asked.length || words.holdsAll(words.fold(column.names[value]), asked)));
    const first = all.slice(0, n_entries);
    if (state.on !== undefined && column.names[state.on] && !first.includes(Number(state.on))) first.unshift(Number(state.on));
    byId("legend").replaceChildren(...first.map((value) => entry(column, value, state)));
    byId("legend-more").hidden = all.length <= n_entries;
    byId("legend-more").textContent = words.figure(all.length - n_entries) + " more";
    byId("legend-find").closest("label").hidden = column.names.length <= ENTRIES_AT_FIRST;
    const n_none = points.n - column.found.reduce((sum, one) => sum + one.count, 0);
    byId("legend-none").textContent = n_none ? words.figure(n_none) + " in none of them" : "";
    byId("legend-all").hidden = state.on === undefined;
  }

  function drawAll() {
    const state = prodseek.state();
    if (columns.size) {
      byId("by").value = columnOf(state).name;
      drawLegend(state);
    }
    layOut(state);
    redraw();
  }

  byId("by").append(...map.columns.map((column) => make("option", { value: column.name }, column.label)));
  byId("by").addEventListener("change", function (event) {
    n_entries = ENTRIES_AT_FIRST;
    byId("legend-find").value = "";
    prodseek.go({ by: event.target.value });
  });
  byId("legend-find").addEventListener("input", prodseek.debounced(120, () => drawLegend(prodseek.state())));
  byId("legend-more").addEventListener("click", function () {
    n_entries += 200;
    drawLegend(prodseek.state());
  });
  byId("legend-all").addEventListener("click", () => prodseek.go({ ...prodseek.state(), on: "" }, true));
  byId("map-side").hidden = !columns.size;
  addEventListener("hashchange", drawAll);
  dark.addEventListener("change", drawAll);
  new ResizeObserver(function () {
    const atRest = view.scale === whole.scale;
    width = canvas.clientWidth;
    height = canvas.clientHeight;
    canvas.width = Math.round(width * (devicePixelRatio || 1));
    canvas.height = Math.round(height * (devicePixelRatio || 1));
    whole = mapView.fit(points, width, height);
    makeLabels();
    if (atRest) view = { ...whole };
    redraw();
  }).observe(canvas);
  drawAll();
});
