"use strict";
(function () {
  const search = document.getElementById("search");
  const announce = document.getElementById("announce");
  const sections = Array.from(document.querySelectorAll("[data-cards]"), function (section) {
    const cards = Array.from(section.querySelectorAll(".card"), function (card) {
      const alts = Array.from(card.querySelectorAll("img"), (image) => image.alt);
      return {
        element: card,
        text: [card.textContent, ...alts].join(" ").toLowerCase(),
        verdicts: (card.dataset.verdicts || "").split(" "),
        across: "across" in card.dataset,
      };
    });
    return {
      cards: cards,
      verdict: section.querySelector("[data-verdict]"),
      across: section.querySelector("[data-across][type=checkbox]"),
      nothing: section.querySelector(".nothing"),
    };
  });

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    let all = 0;
    for (const section of sections) {
      const verdict = section.verdict ? section.verdict.value : "";
      const across = section.across ? section.across.checked : false;
      let here = 0;
      for (const card of section.cards) {
        const matches = words.every((word) => card.text.includes(word)) &&
          (!verdict || card.verdicts.includes(verdict)) && (!across || card.across);
        card.element.hidden = !matches;
        here += matches ? 1 : 0;
      }
      if (section.nothing) section.nothing.hidden = here > 0 || section.cards.length === 0;
      shown += here;
      all += section.cards.length;
    }
    announce.textContent = shown === all ? "" : shown + " of " + all + " cards match";
  }

  document.querySelectorAll(".search, .filters").forEach((controls) => { controls.hidden = false; });
  document.addEventListener("input", filter);
  filter();
})();
