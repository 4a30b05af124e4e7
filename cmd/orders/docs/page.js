"use strict";

SwaggerUIBundle({
  dom_id: "#page",
  url: "../openapi.yaml",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0, // schemas are listed, closed
  validatorUrl: null, // no badge that would ask another host to check the file
});
