// The page fetches itself and puts the new content in place; without JavaScript it is simply a page.
(function () {
  var main = document.getElementById("live");
  if (!main || !main.dataset.refresh) return;
  var every = Number(main.dataset.refresh), failed = 0;
  function note(text) { document.getElementById("stale").textContent = text; }
  function again() {
    if (document.hidden) return setTimeout(again, every);
    fetch(location.href, { headers: { Accept: "text/html" } }).then(function (r) {
      return r.text();
    }).then(function (html) {
      var fresh = new DOMParser().parseFromString(html, "text/html").getElementById("live");
      if (!fresh) throw new Error("not our page");
      var focus = document.activeElement && document.activeElement.id;
      if (fresh.innerHTML !== main.innerHTML) {
        main.innerHTML = fresh.innerHTML;
        if (focus && document.getElementById(focus)) document.getElementById(focus).focus();
      }
      failed = 0; note("");
    }).catch(function () {
      failed++; note("No answer from Relance: what you see may be old.");
    }).then(function () { setTimeout(again, Math.min(every * (1 + failed), 15000)); });
  }
  setTimeout(again, every);
})();
