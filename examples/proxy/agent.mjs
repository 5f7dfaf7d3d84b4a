// An agent that knows nothing of forbear but an address: it adds two numbers by a language model, and is told the answer.
// node agent.mjs [http://127.0.0.1:8766]

const proxy = process.argv[2] ?? "http://127.0.0.1:8766";

const post = async (url, body) => {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${process.env.OPENAI_API_KEY ?? "none"}` },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}: ${await answer.text()}`);
  return answer.json();
};

// Your agent: any client that can be given a base URL.
const add = async (baseUrl, { a, b }, seed) => {
  const said = await post(`${baseUrl}/chat/completions`, {
    model: "small",
    messages: [{ role: "user", content: `What is ${a} + ${b}? Answer with the number alone.` }],
    temperature: 0.7,
    max_tokens: 16,
    logprobs: true,
    seed,
  });
  return said.choices[0].message.content.match(/\d+/g)?.at(-1) === String(a + b); // its last number
};

for (;;) {
  const it = await post(`${proxy}/forbear/ask`, {});
  if (it.task === null) break; // over, or all that is left is under way elsewhere
  let success = null; // the outside world broke it: it is asked for again
  let reason = "";
  try {
    success = await add(it.base_url, it.payload, it.model_seed);
  } catch (error) {
    reason = String(error);
  }
  await post(`${proxy}/forbear/tell`, { episode: it.episode, success, reason });
}
