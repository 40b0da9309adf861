/** How a page begins, up to its title: it loads nothing, and runs no script but `scripts` (a source of a content security policy). */
export const pageHead = (scripts?: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'${scripts === undefined ? '' : `; script-src ${scripts}`}">
`;
