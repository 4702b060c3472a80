"use strict";
// Tables to take along, as CSV (RFC 4180) that spreadsheets read as text.
(function () {
  // Signs that begin a formula, full-width and small ones too, whatever blanks and invisible characters stand before them. Also in
  // the middle of a cell: a spreadsheet that separates by semicolons or tabs lets another cell begin there.
  const SIGN = "[\\s\\p{C}]*[=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]";
  const FIRST = new RegExp("^(?:[\\t\\r]|" + SIGN + ")", "u");
  const WITHIN = new RegExp("[;\\t\\r\\n](?=" + SIGN + ")", "gu");

  function cell(value) {
    if (typeof value === "number") return String(value);
    // An apostrophe makes it text.
    const text = (FIRST.test(value) ? "'" : "") + value.replace(WITHIN, "$&'");
    return /[",;\t\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  }

  prodseek.csv = (rows) => "\ufeff" + rows.map((row) => row.map(cell).join(",") + "\r\n").join("");

  prodseek.download = function (name, text) {
    const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    prodseek.make("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  };
})();
