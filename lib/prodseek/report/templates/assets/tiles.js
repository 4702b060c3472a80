"use strict";
// Pictures that load when they are about to be seen, with the frames on them.
(function () {
  const { make, svg, words } = prodseek;
  const GONE = "The photo cannot be read any more.";
  const waiting = new WeakMap();
  const seen = new IntersectionObserver(function (entries) {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      waiting.get(entry.target)();
    }
  }, { rootMargin: "300px" });

  // Runs `then` once `element` comes near what is seen of the page.
  prodseek.whenSeen = function (element, then) {
    waiting.set(element, () => Promise.resolve(then()).catch(prodseek.fail));
    seen.observe(element);
  };

  // Puts the picture of an object into `image`; where there is none, says so in its place.
  prodseek.fillPicture = async function (image, kind, number) {
    let picture = "";
    try {
      picture = await prodseek.picture(kind, number);
    } finally {
      if (picture) {
        image.src = "data:image/webp;base64," + picture;
        await image.decode().catch(() => {});
      } else {
        image.parentElement.classList.add("without");
        image.replaceWith(make("span", { class: "gone" }, GONE));
      }
    }
  };

  // A square with the picture; `kind` is regions or photos. It leads to the object, unless `plain`.
  prodseek.tile = function (number, kind, alt, frames, plain) {
    const image = make("img", { alt: alt, decoding: "async" });
    const tile = plain
      ? make("div", { class: "tile" }, image, frames)
      : make("a", { class: "tile", href: "object.html#" + number, "data-object": number }, image, frames);
    prodseek.whenSeen(tile, () => prodseek.fillPicture(image, kind, number));
    return tile;
  };

  // What an object's box shows, with a caption; `note` (an element or text) comes below it.
  prodseek.objectTile = function (number, options) {
    const { note = null, large = false } = options || {};
    const image = make("img", { alt: "Object " + number, decoding: "async" });
    const caption = make("figcaption", { class: "small" }, make("span", { class: "text", dir: "auto" }, "…"));
    const tile = make("a", { class: "tile", href: "object.html#" + number, "data-object": number }, image);
    const figure = make("figure", { class: large ? "exemplar" : null }, tile, caption, note);
    prodseek.whenSeen(figure, async function () {
      const shown = await prodseek.object(number);
      image.alt = words.objectAlt(shown);
      caption.firstChild.textContent = words.objectName(shown);
      await prodseek.fillPicture(image, "regions", number);
    });
    return figure;
  };

  // Frames over a picture that is fitted into its tile. boxes: [x1, y1, x2, y2] in pixels of the photo, or null.
  prodseek.frames = function (width_px, height_px, boxes) {
    const drawn = boxes.filter((one) => one && one.box_px).flatMap(function ({ box_px, name, title }) {
      const [x1, y1, x2, y2] = box_px;
      const place = { x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1) };
      return ["halo", "line"].map((part) => svg("rect", { ...place, class: part + " " + (name || "") },
        title && part === "line" ? svg("title", {}, title) : null));
    });
    return svg("svg", { class: "frames", viewBox: "0 0 " + width_px + " " + height_px, "aria-hidden": "true" }, drawn);
  };
})();
