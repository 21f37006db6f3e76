// The scenarios through `@google/genai`.

import { FunctionCallingConfigMode, GoogleGenAI } from "@google/genai";

import * as scenarios from "./scenarios.mjs";
import { given, CALLS, INSTRUCTIONS, PICTURE_URL, PNG, REPORT, WEATHER } from "./scenarios.mjs";

const client = new GoogleGenAI({ apiKey: given.key, httpOptions: { baseUrl: given.baseUrl } });
const tools = [
  {
    functionDeclarations: [
      {
        name: WEATHER.name,
        description: WEATHER.description,
        parametersJsonSchema: WEATHER.schema,
      },
    ],
  },
];
const user = (parts) => ({ role: "user", parts });

const whole = async (request) => {
  const answer = await client.models.generateContent(request);
  return { parts: answer.candidates[0].content.parts, usage: answer.usageMetadata };
};

const streamed = async (request) => {
  const told = { parts: [], usage: null };
  for await (const chunk of await client.models.generateContentStream(request)) {
    told.parts.push(...(chunk.candidates?.[0]?.content?.parts ?? []));
    told.usage = chunk.usageMetadata ?? told.usage;
  }
  return told;
};

const textOf = ({ parts }) =>
  parts
    .filter((part) => part.text && !part.thought)
    .map((part) => part.text)
    .join("");

const text = (make) => async (model, mark) => {
  const contents = `${mark} hello THINK`;
  const answer = await make({ model, contents, config: { systemInstruction: INSTRUCTIONS } });
  return { text: textOf(answer), usages: [answer.usage] };
};

const toolsTwice = (make) => async (model, mark) => {
  const contents = [user([{ text: `${mark}\n${CALLS}` }])];
  const config = {
    tools,
    systemInstruction: INSTRUCTIONS,
    thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 },
    toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.AUTO } },
  };
  const first = await make({ model, contents, config });
  const called = first.parts.filter((part) => part.functionCall).map((part) => part.functionCall);
  const results = called.map(({ id, name, args }) => ({
    functionResponse: { id, name, response: { output: scenarios.weatherOf(args) } },
  }));
  contents.push({ role: "model", parts: first.parts }, user(results));
  const second = await make({ model, contents, config });
  return {
    said: textOf(first),
    calls: called.map(({ name, args }) => ({ name, arguments: args })),
    text: textOf(second),
    usages: [first.usage, second.usage],
  };
};

async function pictures(model, mark) {
  const parts = [
    { text: mark },
    { inlineData: { mimeType: "image/png", data: PNG } },
    { fileData: { mimeType: "image/png", fileUri: PICTURE_URL } },
  ];
  const answer = await whole({ model, contents: [user(parts)] });
  return { text: textOf(answer), usages: [answer.usage] };
}

const structured = (member) => async (model, mark) => {
  const config = { responseMimeType: "application/json", [member]: REPORT };
  const answer = await whole({ model, contents: mark, config });
  return { structured: JSON.parse(textOf(answer)), usages: [answer.usage] };
};

await scenarios.run({
  text: text(whole),
  stream: text(streamed),
  tools: toolsTwice(whole),
  tools_stream: toolsTwice(streamed),
  pictures,
  structured: structured("responseJsonSchema"),
});
