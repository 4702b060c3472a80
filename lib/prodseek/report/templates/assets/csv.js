"use strict";
// Tables to take along, as CSV (RFC 4180) that spreadsheets read as text.
(function () {
  function cell(value) {
    let text = typeof value === "number" ? String(value) : value;
    // A spreadsheet takes such a cell for a formula; an apostrophe makes it text.
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = "'" + text;
    return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  }

  prodseek.csv = (rows) => "\ufeff" + rows.map((row) => row.map(cell).join(",") + "\r\n").join("");

  prodseek.download = function (name, text) {
    const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    prodseek.make("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  };
})();
