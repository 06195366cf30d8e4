'use strict';
// Draws the OpenAPI document of this server. Text goes in as text nodes only.

const methods = ['get', 'post', 'put', 'patch', 'delete'];
let spec;

// el makes an element with attributes and children; strings become text.
function el(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value) e.setAttribute(key, value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) e.append(child);
  }
  return e;
}

function refName(schema) {
  return schema && schema.$ref ? schema.$ref.split('/').pop() : '';
}

// kind names a schema: a link for a named one.
function kind(schema) {
  if (!schema) return 'anything';
  const name = refName(schema);
  if (name) return el('a', { href: '#schema-' + name }, name);
  for (const key of ['oneOf', 'anyOf']) {
    if (schema[key]) return el('span', {}, schema[key].flatMap((s, i) => (i ? [' or ', kind(s)] : [kind(s)])));
  }
  if (schema.type === 'array') return el('span', {}, 'list of ', kind(schema.items));
  if (schema.type === 'object' && typeof schema.additionalProperties === 'object') {
    return el('span', {}, 'map to ', kind(schema.additionalProperties));
  }
  const type = Array.isArray(schema.type) ? schema.type.join(' or ') : schema.type;
  return schema.format === 'date-time' ? 'time (RFC 3339)' : type || 'anything';
}

// rules lists what a value must satisfy.
function rules(schema) {
  const list = [];
  const inner = schema.type === 'array' && schema.items ? schema.items : schema;
  if (inner.enum) list.push('one of ' + inner.enum.join(', '));
  if (schema.default !== undefined) list.push('default ' + JSON.stringify(schema.default));
  if (schema.minimum !== undefined) list.push('at least ' + schema.minimum);
  if (schema.maximum !== undefined) list.push('at most ' + schema.maximum);
  if (schema.maxLength !== undefined) list.push('at most ' + schema.maxLength + ' characters');
  if (inner.patternDescription) list.push(inner.patternDescription);
  if (schema.readOnly) list.push('in answers only');
  if (schema.writeOnly) list.push('never in answers');
  return list.join('; ');
}

function row(name, schema, text, needed) {
  return el('tr', {},
    el('td', {}, el('code', {}, name), needed ? el('span', { class: 'need' }, ' needed') : null),
    el('td', { class: 'kind' }, kind(schema)),
    el('td', {}, text || '', rules(schema) ? el('div', { class: 'kind' }, rules(schema)) : null));
}

function table(heads, rows) {
  return el('table', {}, el('thead', {}, el('tr', {}, heads.map((h) => el('th', { scope: 'col' }, h)))), el('tbody', {}, rows));
}

function content(types) {
  return Object.entries(types || {}).map(([type, media]) => el('div', {}, el('code', {}, type), ': ', kind(media.schema)));
}

function operation(path, method, op) {
  const inside = el('div', { class: 'inside' });
  inside.append(el('p', {}, op.description || ''));
  if (op.externalDocs) inside.append(el('p', {}, el('a', { href: op.externalDocs.url }, op.externalDocs.description || op.externalDocs.url)));
  if (op.parameters && op.parameters.length) {
    inside.append(el('h4', {}, 'Parameters'),
      table(['name', 'in, kind', 'meaning'], op.parameters.map((p) => {
        const r = row(p.name, p.schema || {}, p.description, p.required);
        r.children[1].prepend(p.in + ', ');
        return r;
      })));
  }
  if (op.requestBody) {
    inside.append(el('h4', {}, 'Body' + (op.requestBody.required ? '' : ' (optional)')));
    if (op.requestBody.description) inside.append(el('p', {}, op.requestBody.description));
    inside.append(...content(op.requestBody.content));
  }
  inside.append(el('h4', {}, 'Answers'),
    table(['status', 'meaning', 'body'], Object.entries(op.responses).map(([status, r]) =>
      el('tr', {}, el('td', {}, el('code', {}, status)), el('td', {}, r.description || ''), el('td', {}, content(r.content))))));
  const details = el('details', {},
    el('summary', {}, el('span', { class: 'method ' + method }, method.toUpperCase()), el('span', { class: 'path' }, path),
      el('span', { class: 'about' }, op.summary || '')), inside);
  return el('article', { id: 'op-' + op.operationId }, details);
}

function schemaBox(name, schema) {
  const needed = new Set(schema.required || []);
  const rows = Object.entries(schema.properties || {}).map(([key, s]) => row(key, s, s.description, needed.has(key)));
  return el('article', { id: 'schema-' + name },
    el('details', {}, el('summary', {}, el('h3', {}, name), el('span', { class: 'about' }, schema.description || '')),
      el('div', { class: 'inside' }, rows.length ? table(['field', 'kind', 'meaning'], rows) : el('p', {}, kind(schema)))));
}

// open shows what the address names.
function open() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const details = target && target.querySelector('details');
  if (details) {
    details.open = true;
    target.scrollIntoView();
  }
}

function draw() {
  const main = document.getElementById('main');
  const index = document.getElementById('index');
  document.getElementById('about').replaceChildren(
    'Version ' + spec.info.version + '. ' + (spec.info.description || '') + ' Requests carry an API key: ',
    el('code', {}, 'Authorization: Bearer KEY'), '. ',
    el('a', { href: '/openapi.json' }, 'OpenAPI 3.1'), ' · ', el('a', { href: '/docs/problems' }, 'codes of errors'));
  for (const tag of spec.tags) {
    const list = el('ul', {});
    main.append(el('h2', { id: 'tag-' + tag.name }, tag.name), el('p', { class: 'about' }, tag.description || ''));
    for (const [path, item] of Object.entries(spec.paths)) {
      for (const method of methods) {
        const op = item[method];
        if (!op || !(op.tags || []).includes(tag.name)) continue;
        main.append(operation(path, method, op));
        list.append(el('li', { 'data-text': (method + ' ' + path + ' ' + op.summary).toLowerCase() },
          el('a', { href: '#op-' + op.operationId }, op.summary)));
      }
    }
    index.append(el('h4', {}, tag.name), list);
  }
  main.append(el('h2', { id: 'schemas' }, 'Schemas'));
  for (const [name, schema] of Object.entries(spec.components.schemas)) main.append(schemaBox(name, schema));
  document.getElementById('find').addEventListener('input', (e) => {
    const words = e.target.value.toLowerCase().split(/\s+/);
    for (const li of index.querySelectorAll('li')) li.hidden = !words.every((w) => li.dataset.text.includes(w));
  });
  addEventListener('hashchange', open);
  open();
}

fetch('/openapi.json').then((r) => r.json()).then((document) => {
  spec = document;
  draw();
}).catch((e) => {
  document.getElementById('about').textContent = 'The OpenAPI document could not be read: ' + e.message;
});
