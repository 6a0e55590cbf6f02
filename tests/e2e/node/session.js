// A typical session of an IMAP client library against HOST PORT USER PASSWORD: prints one line a check.
'use strict';
const { ImapFlow } = require('imapflow');
const [host, port, user, pass, secure] = process.argv.slice(2);

const message = (subject) => Buffer.from(
  `From: a@client.example\r\nTo: ${user}\r\nSubject: ${subject}\r\nMIME-Version: 1.0\r\n` +
  'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n' +
  'Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n--b\r\n' +
  'Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n' +
  'Content-Disposition: attachment; filename=x.bin\r\n\r\nAAECAwQF\r\n--b--\r\n');

const checks = [];
function check(name, good, detail) {
  checks.push(good);
  console.log(`${good ? 'ok' : 'FAILED'} ${name}${good ? '' : ': ' + JSON.stringify(detail)}`);
}
async function text(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function main() {
  const options = { host, port: Number(port), secure: secure === 'tls', auth: { user, pass }, logger: false,
    tls: { rejectUnauthorized: false } };
  const client = new ImapFlow(options);
  await client.connect();
  check('login', client.usable);

  const folders = await client.list();
  check('list has INBOX', folders.some((f) => f.path.toUpperCase() === 'INBOX'), folders.map((f) => f.path));
  const created = await client.mailboxCreate('Projekt Grün');
  check('create a folder with an umlaut', created.created, created);
  check('it is listed', (await client.list()).some((f) => f.path === 'Projekt Grün'));

  const lock = await client.getMailboxLock('INBOX');
  try {
    const appended = await client.append('INBOX', message('by imapflow'), ['\\Seen'], new Date('2020-01-02T03:04:05Z'));
    check('append gives its UID', appended && appended.uid > 0, appended);
    await client.append('INBOX', message('second'), []);
    await client.noop();
    check('exists', client.mailbox.exists === 2, client.mailbox.exists);

    const found = await client.search({ subject: 'by imapflow' }, { uid: true });
    check('search', found.length === 1 && found[0] === appended.uid, found);

    const one = await client.fetchOne(String(appended.uid),
      { envelope: true, bodyStructure: true, flags: true, internalDate: true, size: true }, { uid: true });
    check('envelope', one.envelope.subject === 'by imapflow', one.envelope);
    check('flags', one.flags.has('\\Seen'), [...one.flags]);
    check('internal date', one.internalDate.toISOString() === '2020-01-02T03:04:05.000Z', one.internalDate);
    check('size', one.size === message('by imapflow').length, one.size);
    check('body structure', one.bodyStructure.childNodes && one.bodyStructure.childNodes.length === 2, one.bodyStructure);
    const part = await client.download(String(appended.uid), '1', { uid: true });
    check('text part, decoded', (await text(part.content)).toString() === 'Grüße', part.meta);
    const attachment = await client.download(String(appended.uid), '2', { uid: true });
    check('attachment', (await text(attachment.content)).equals(Buffer.from([0, 1, 2, 3, 4, 5])), attachment.meta);

    check('flags added', await client.messageFlagsAdd(String(appended.uid), ['\\Flagged', 'Wichtig'], { uid: true }));
    const flags = (await client.fetchOne(String(appended.uid), { flags: true }, { uid: true })).flags;
    check('flags read', flags.has('\\Flagged') && flags.has('Wichtig'), [...flags]);
    const copied = await client.messageCopy(String(appended.uid), 'Projekt Grün', { uid: true });
    check('copy', copied && copied.uidMap && copied.uidMap.size === 1, copied);
    const moved = await client.messageMove(String(appended.uid), 'Projekt Grün', { uid: true });
    check('move', moved && moved.uidMap && moved.uidMap.size === 1, moved);
    check('moved away', client.mailbox.exists === 1, client.mailbox.exists);
  } finally {
    lock.release();
  }
  const status = await client.status('Projekt Grün', { messages: true, unseen: true, uidNext: true });
  check('status', status.messages === 2, status);

  // Push: another session appends while this one idles.
  await client.mailboxOpen('INBOX');
  const news = new Promise((resolve) => client.once('exists', resolve));
  const idle = client.idle();
  const other = new ImapFlow(options);
  await other.connect();
  await other.append('INBOX', message('pushed'), []);
  const pushed = await Promise.race([news, new Promise((resolve) => setTimeout(resolve, 10000, null))]);
  check('idle push', pushed && pushed.count === 2, pushed);
  await other.logout();
  await client.noop();
  await idle;
  await client.messageDelete('1:*');
  check('deleted', client.mailbox.exists === 0, client.mailbox.exists);
  const deleted = await client.mailboxDelete('Projekt Grün');
  check('folder deleted', deleted.path === 'Projekt Grün', deleted);
  await client.logout();
  console.log(`${checks.filter(Boolean).length} of ${checks.length}`);
  process.exit(checks.every(Boolean) ? 0 : 1);
}
main().catch((error) => { console.log('FAILED', error.message, error.responseText || ''); process.exit(1); });
