"use strict";
// Two photos laid over each other, to see what is the same and what is not.
(function () {
  const { make, words } = prodseek;
  const BLINK_ms = 700; // 0.7 Hz; three flashes a second are the limit of WCAG 2.3.1
  const MODES = [["blink", "Blink"], ["fade", "Fade"], ["wipe", "Wipe"], ["difference", "Difference"]];
  const IDENTITY = [1, 0, 0, 0, 1, 0];
  // How far beside photo a the copy is still shown, in sides of a.
  const BESIDE = 1.5;
  let viewer = null;

  // Where b lies on a: identical files are the same object and have no transform.
  function transformOf(a, b, likeness) {
    return likeness.transform || (a.object === b.object ? IDENTITY : null);
  }

  // The CSS transform for b's picture, once that is stretched over a's. t: fractions of sides, as in Likeness.
  function cssTransform(t, a) {
    const aspect = a.width_px / a.height_px;
    return "translate(" + 100 * t[2] + "%, " + 100 * t[5] + "%) matrix(" +
      [t[0], t[3] / aspect, t[1] * aspect, t[4], 0, 0].join(", ") + ")";
  }

  // The part of the plane that shows both: left, top, right, bottom in sides of a.
  function around(t) {
    const xs = [0, 1];
    const ys = [0, 1];
    for (const [x, y] of [[0, 0], [1, 0], [0, 1], [1, 1]]) {
      xs.push(t[0] * x + t[1] * y + t[2]);
      ys.push(t[3] * x + t[4] * y + t[5]);
    }
    return [Math.max(-BESIDE, Math.min(...xs)), Math.max(-BESIDE, Math.min(...ys)),
      Math.min(1 + BESIDE, Math.max(...xs)), Math.min(1 + BESIDE, Math.max(...ys))];
  }

  prodseek.compare = function (a, b, likeness) {
    viewer = viewer || makeViewer();
    viewer.show(a, b, likeness);
    viewer.dialog.showModal();
    viewer.dialog.focus();
  };

  function makeViewer() {
    const made = prodseek.dialog("compare", "Compare two photos");
    made.dialog.tabIndex = -1;
    const title = make("h2", null, "");
    const first = make("img", { alt: "", class: "a" });
    const second = make("img", { alt: "", class: "b" });
    const over = make("div", { class: "over" }, second);
    const stage = make("div", { class: "stage" }, first, over);
    const apart = make("p", { class: "note" }, "How the one lies on the other is not known, so they cannot be laid over each other.");
    const side = make("div", { class: "pair" });
    const slider = make("input", { type: "range", min: "0", max: "100", value: "50" });
    const slide = make("label", { class: "slide" }, make("span", null, "First"), slider, make("span", null, "second"));
    const toggle = prodseek.button("", flip, { "aria-keyshortcuts": "Space" });
    const pause = prodseek.button("", function () { beat(!timer); });
    const shows = make("p", { class: "note" });
    const modes = make("fieldset", { class: "modes" }, make("legend", { class: "hidden-text" }, "How they are compared"),
      MODES.map(([value, label]) => make("label", null,
        make("input", { type: "radio", name: "compare-mode", value, checked: value === "blink" }), label)));
    const controls = make("div", { class: "compare-controls" }, modes, slide, toggle, pause, shows);
    made.bar.prepend(title, make("span", { class: "space" }));
    made.body.append(controls, stage, apart, side);
    let mode = "blink";
    let copyShown = true;
    let timer = 0;

    function paint() {
      const share = slider.value / 100;
      stage.dataset.mode = mode;
      stage.dataset.shown = mode === "blink" ? (copyShown ? "b" : "a") : "both";
      over.style.opacity = mode === "fade" ? share : mode === "blink" && !copyShown ? 0 : 1;
      over.style.clipPath = mode === "wipe" ? "inset(0 " + (100 - 100 * share) + "% 0 0)" : "";
      slide.hidden = mode !== "fade" && mode !== "wipe";
      toggle.hidden = pause.hidden = shows.hidden = mode !== "blink";
      toggle.textContent = copyShown ? "Show the first photo" : "Show the second photo";
      pause.textContent = timer ? "Stop blinking" : "Blink by itself";
      shows.textContent = copyShown ? "Second photo" : "First photo";
    }

    function flip() {
      copyShown = !copyShown;
      paint();
    }

    function beat(on) {
      clearInterval(timer);
      timer = on ? setInterval(flip, BLINK_ms) : 0;
      paint();
    }

    modes.addEventListener("change", function (event) {
      mode = event.target.value;
      copyShown = true;
      beat(mode === "blink" && !matchMedia("(prefers-reduced-motion: reduce)").matches);
    });
    slider.addEventListener("input", paint);
    made.dialog.addEventListener("keydown", function (event) {
      if (event.key !== " " || mode !== "blink" || controls.hidden || event.target.closest("button, input, a")) return;
      event.preventDefault();
      beat(false);
      flip();
    });
    made.dialog.addEventListener("close", () => beat(false));

    made.show = function (a, b, likeness) {
      const t = transformOf(a, b, likeness);
      title.textContent = words.verdict(likeness.verdict).label + ", " + words.percent(likeness.confidence) + " likely a copy";
      controls.hidden = stage.hidden = !t;
      apart.hidden = Boolean(t);
      side.replaceChildren(...[[a, likeness.box_a_px, "First"], [b, likeness.box_b_px, "Second"]].map(([photo, box_px, name]) =>
        make("figure", null,
          prodseek.tile(photo.object, "photos", words.photoAlt(photo),
            prodseek.frames(photo.width_px, photo.height_px, [{ box_px }]), true),
          make("figcaption", null, make("p", { class: "title text", dir: "auto" }, name + ": " + (photo.title || photo.product_id)),
            make("p", { class: "small text", dir: "auto" }, words.relative(photo.uri)),
            make("p", { class: "small" }, words.size(photo))))));
      if (!t) return;
      const [left, top, right, bottom] = around(t);
      const [width, height] = [right - left, bottom - top];
      const aspect = (width * a.width_px) / (height * a.height_px);
      stage.style.aspectRatio = aspect;
      stage.style.maxWidth = "calc(" + aspect + " * 62vh)";
      for (const image of [first, second]) {
        image.removeAttribute("src");
        image.style.left = -100 * left / width + "%";
        image.style.top = -100 * top / height + "%";
        image.style.width = 100 / width + "%";
        image.style.height = 100 / height + "%";
      }
      second.style.transform = cssTransform(t, a);
      first.alt = "First photo, " + words.photoAlt(a);
      second.alt = "Second photo, " + words.photoAlt(b);
      for (const [image, photo] of [[first, a], [second, b]]) {
        prodseek.picture("photos", photo.object).then(function (picture) {
          if (picture) image.src = "data:image/webp;base64," + picture;
        }).catch(prodseek.fail);
      }
      copyShown = true;
      beat(mode === "blink" && !matchMedia("(prefers-reduced-motion: reduce)").matches);
    };
    return made;
  }
})();
