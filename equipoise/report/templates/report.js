(function () {
  "use strict";
  const box = document.getElementById("mistake-filter");
  if (!box) return;
  const select = box.querySelector("select");
  const status = box.querySelector("[role=status]");
  const rows = Array.from(document.querySelectorAll("#mistakes-table tbody tr"));
  function show() {
    const wanted = select.value;
    let shown = 0;
    for (const row of rows) {
      const on = wanted === "" ? !("extra" in row.dataset) : row.dataset.class === wanted;
      row.hidden = !on;
      if (on) shown += 1;
    }
    status.textContent = shown + (shown === 1 ? " row shown" : " rows shown");
  }
  box.hidden = false;
  select.addEventListener("change", show);
  show();
})();
