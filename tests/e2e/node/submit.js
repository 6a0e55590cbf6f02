// What a mail program sends, by HOST PORT USER PASSWORD tls|starttls TO SUBJECT: text, HTML, an attachment, a
// name and a subject beyond ASCII. Prints the server's last reply.
'use strict';
const nodemailer = require('nodemailer');
const [host, port, user, pass, secure, to, subject] = process.argv.slice(2);

async function main() {
  const transport = nodemailer.createTransport({
    host, port: Number(port), secure: secure === 'tls', requireTLS: secure === 'starttls',
    auth: { user, pass }, tls: { rejectUnauthorized: false },
  });
  await transport.verify();
  const sent = await transport.sendMail({
    from: { name: 'Grüße & Küsse', address: user }, to, subject, text: 'Grüße\n.dot\n', html: '<p>Grüße</p>',
    attachments: [{ filename: 'naïve.bin', content: Buffer.from([0, 1, 2, 255]) }],
  });
  console.log(sent.response);
  transport.close();
}
main().catch((error) => { console.log('FAILED', error); process.exitCode = 1; });
