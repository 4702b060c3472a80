"use strict";
// object.html#12: the page of object 12.
prodseek.start(async function () {
  const { make, byId } = prodseek;

  async function show() {
    const number = /^#\d+$/.test(location.hash) ? Number(location.hash.slice(1)) : NaN;
    const content = byId("object");
    try {
      const described = await prodseek.describeObject(number);
      byId("object-name").textContent = described.name;
      document.title = described.name + " · prodseek report";
      content.replaceChildren(described.element, neighbours(number));
    } catch (error) {
      if (error.name !== "Error") throw error;
      byId("object-name").textContent = "Object";
      content.replaceChildren(make("p", { class: "failure", role: "alert" }, error.message));
    }
  }

  function neighbours(number) {
    const link = (to, label) => to >= 0 && to < prodseek.about.n_objects && make("a", { href: "#" + to }, label);
    return make("nav", { class: "pager", "aria-label": "Objects" },
      link(number - 1, "‹ Object before"), link(number + 1, "Object after ›"));
  }

  addEventListener("hashchange", function () {
    document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
    scrollTo(0, 0);
    show();
  });
  await show();
});
