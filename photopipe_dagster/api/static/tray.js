// Suggests SKUs by what is typed.
"use strict";

const products = document.querySelector("#products");

for (const input of document.querySelectorAll("[data-sku]")) {
  input.addEventListener("input", async () => {
    if (input.value.length < 2) return;
    const answer = await fetch(`/photos/products?text=${encodeURIComponent(input.value)}`);
    if (!answer.ok) return;
    const options = (await answer.json()).map(({ sku, title }) =>
      Object.assign(document.createElement("option"), { value: sku, label: `${sku} ${title}` })
    );
    products.replaceChildren(...options);
  });
}
