// Names for the fields of the admin's tables of rows, which have a heading each and no label.

function nameFields(root) {
  for (const row of root.querySelectorAll(".tabular tbody tr")) {
    const headings = row.closest("table").querySelectorAll("thead th:not(.original)");
    const cells = [...row.children].filter((cell) => !cell.classList.contains("original"));
    cells.forEach((cell, at) => {
      const name = headings[at]?.firstChild?.textContent.trim();
      if (!name) return;
      for (const field of cell.querySelectorAll("select, input:not([type=hidden])")) {
        if (!field.labels?.length && !field.hasAttribute("aria-label")) field.setAttribute("aria-label", name);
      }
    });
  }
  for (const corner of root.querySelectorAll(".tabular th.original:empty")) corner.setAttribute("role", "presentation");
}

nameFields(document);
document.addEventListener("formset:added", () => nameFields(document));
