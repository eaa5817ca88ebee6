// Starts Swagger UI on the document that the page names.
"use strict";

const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);

function csrfToken() {
  const found = document.cookie.match(/(?:^|; )csrftoken=([^;]*)/);
  return found ? decodeURIComponent(found[1]) : null;
}

window.addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("swagger-ui");
  window.SwaggerUIBundle({
    url: place.dataset.document,
    domNode: place,
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    validatorUrl: null,
    // Whoever is signed in by cookie proves that this page sends the request.
    requestInterceptor: (request) => {
      const token = csrfToken();
      if (token && !SAFE.has((request.method || "GET").toUpperCase())) {
        request.headers["X-CSRF-Token"] ??= token;
      }
      return request;
    },
  });
});
