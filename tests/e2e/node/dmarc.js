// What mailauth (npm) says of DMARC: an array of {from, txt, spf, dkim} on standard input, of {result, policy}
// on standard output. No name is looked up but in txt.
'use strict';

const { dmarc } = require(process.argv[2]);

async function evaluate(world) {
    const resolver = async name => {
        const texts = world.txt[name.replace(/^_dmarc\./, '')];
        if (!texts) {
            const error = new Error('no such name');
            error.code = 'ENOTFOUND';
            throw error;
        }
        return texts.map(text => [text]);
    };
    const found = await dmarc({
        headerFrom: world.from,
        spfDomains: world.spf.map(domain => ({ domain })),
        dkimDomains: world.dkim.map(domain => ({ domain })),
        resolver,
    });
    return { result: found.status.result, policy: found.policy || 'none' };
}

let text = '';
process.stdin.on('data', piece => (text += piece));
process.stdin.on('end', async () => {
    const answers = [];
    for (const world of JSON.parse(text)) {
        answers.push(await evaluate(world));
    }
    process.stdout.write(JSON.stringify(answers));
});
