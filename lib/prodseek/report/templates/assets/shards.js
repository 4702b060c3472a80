"use strict";
// Data files are scripts that hand one value over by its name: a page opened from a file may load scripts, but not fetch.
const prodseek = {};
(function () {
  const PICTURE_SHARDS_KEPT = 48;
  const arrived = new Map();
  const asked = new Map();

  function path(name) {
    const folder = /^(regions|photos)-/.test(name) ? "thumbs" : "data";
    return folder + "/" + encodeURIComponent(name) + ".js";
  }

  const note = document.getElementById("no-scripts");
  if (note) note.remove();

  // Called by the data files.
  prodseek.receive = function (name, value) {
    if (name === "about") prodseek.about = value;
    else arrived.set(name, value);
  };

  // The value of a data file, such as "objects-0003"; rejects with a sentence for people.
  prodseek.load = function (name) {
    const known = asked.get(name);
    if (known) {
      asked.delete(name); // asked for again: now the youngest
      asked.set(name, known);
      return known;
    }
    const loading = new Promise(function (resolve, reject) {
      const script = document.createElement("script");
      script.src = path(name);
      script.addEventListener("load", function () {
        script.remove();
        if (arrived.has(name)) resolve(arrived.get(name));
        else reject(new Error("The file " + path(name) + " of this report is damaged."));
        arrived.delete(name);
      });
      script.addEventListener("error", function () {
        script.remove();
        reject(new Error("The file " + path(name) + " of this report cannot be read. Was the whole folder copied?"));
      });
      document.head.append(script);
    });
    loading.catch(() => asked.delete(name));
    asked.set(name, loading);
    forgetPictures();
    return loading;
  };

  function forgetPictures() {
    const pictures = Array.from(asked.keys()).filter((name) => path(name).startsWith("thumbs/"));
    for (const name of pictures.slice(0, -PICTURE_SHARDS_KEPT)) asked.delete(name);
  }

  prodseek.shardName = function (kind, number) {
    return kind + "-" + String(number).padStart(4, "0");
  };

  // Item `number` of a list that lies in shards of `perShard`.
  async function item(kind, number, perShard) {
    const shard = await prodseek.load(prodseek.shardName(kind, Math.floor(number / perShard)));
    return shard[number % perShard];
  }

  prodseek.object = (number) => item("objects", number, prodseek.about.objects_per_shard);
  prodseek.neighbours = (number) => item("neighbours", number, prodseek.about.objects_per_shard);
  prodseek.duplicateGroup = (number) => item("duplicates", number, prodseek.about.groups_per_shard);
  prodseek.pairApart = (number) => item("pairs", number, prodseek.about.groups_per_shard);
  prodseek.picture = function (kind, number) {
    const perShard = kind === "photos" ? prodseek.about.photo_thumbs_per_shard : prodseek.about.region_thumbs_per_shard;
    return item(kind, number, perShard);
  };

  // Says on the page that something failed, once for each sentence.
  const told = new Set();
  prodseek.fail = function (error) {
    const sentence = error.message;
    if (told.has(sentence)) return;
    told.add(sentence);
    const line = document.createElement("p");
    line.className = "failure";
    line.setAttribute("role", "alert");
    line.textContent = sentence;
    document.getElementById("main").prepend(line);
  };

  // Runs what a page does once the report's facts are there.
  prodseek.start = function (run) {
    if (!prodseek.about) {
      prodseek.fail(new Error("The file data/about.js of this report cannot be read. Was the whole folder copied?"));
      return;
    }
    Promise.resolve(prodseek.about).then(run).catch(function (error) {
      prodseek.fail(error);
      if (error.name !== "Error") throw error;
    });
  };
})();
