import { ERROR_DEFINITIONS, EVENT_REJECTIONS } from "../../models/contract/errors.ts";

export function referencePage(): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Edgewise API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="reference"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/init.js"></script>
</body>
</html>`;
}

/** Every error code with its status and what the caller should do; problem documents link here by anchor. */
export function errorsPage(): string {
  const rows = Object.entries(ERROR_DEFINITIONS)
    .map(
      ([code, { status, title, action }]) =>
        `<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td>${title}</td><td>${action}</td></tr>`,
    )
    .join("\n");
  const rejections = Object.entries(EVENT_REJECTIONS)
    .map(([code, text]) => `<tr id="${code}"><td><code>${code}</code></td><td>${text}</td></tr>`)
    .join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Edgewise errors</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2430; }
table { border-collapse: collapse; width: 100%; margin-bottom: 2rem; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #d8dee6; vertical-align: top; }
tr:target { background: #fff3c4; }
</style>
</head>
<body>
<h1>Errors</h1>
<table><tr><th>Code</th><th>Status</th><th>Meaning</th><th>What to do</th></tr>
${rows}
</table>
<h2>Reasons for refusing an event</h2>
<table><tr><th>Reason</th><th>Meaning</th></tr>
${rejections}
</table>
<p><a href="/docs">API reference</a></p>
</body>
</html>`;
}
