// Calls that fail, through each SDK, whole or streamed: a line of JSON tells what was thrown.
//
// The argument is JSON: baseUrl, key, rows (model, isStream), refusals (key, model, status).

import Anthropic, { APIError as AnthropicError } from "@anthropic-ai/sdk";
import { ApiError as GoogleError, GoogleGenAI } from "@google/genai";
import OpenAI, { APIError as OpenAIError } from "openai";

const { baseUrl, key, rows, refusals } = JSON.parse(process.argv[2]);

const drained = async (stream) => {
  for await (const _ of stream);
};

const openai = (apiKey) => new OpenAI({ apiKey, baseURL: `${baseUrl}/v1`, maxRetries: 0 });
const messages = [{ role: "user", content: "x" }];

const apis = {
  chat: {
    own: OpenAIError,
    call: async ({ apiKey, model, stream }) => {
      const told = await openai(apiKey).chat.completions.create({ model, messages, stream });
      if (stream) await drained(told);
    },
  },
  responses: {
    own: OpenAIError,
    call: async ({ apiKey, model, stream }) => {
      const told = await openai(apiKey).responses.create({ model, input: "x", stream });
      if (stream) await drained(told);
    },
  },
  messages: {
    own: AnthropicError,
    call: async ({ apiKey, model, stream }) => {
      const client = new Anthropic({ apiKey, baseURL: baseUrl, maxRetries: 0 });
      const told = await client.messages.create({ model, messages, max_tokens: 9, stream });
      if (stream) await drained(told);
    },
  },
  gemini: {
    own: GoogleError,
    call: async ({ apiKey, model, stream }) => {
      const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl } });
      const request = { model, contents: "x" };
      if (stream) await drained(await client.models.generateContentStream(request));
      else await client.models.generateContent(request);
    },
  },
};

for (const [api, { own, call }] of Object.entries(apis)) {
  const calls = [
    ...rows.map(({ model, isStream }) => ({ apiKey: key, model, stream: isStream })),
    ...refusals.map((row) => ({ apiKey: row.key, ...row, stream: false })),
  ];
  for (const { apiKey, model, stream, status: expected } of calls) {
    const line = { api, model, expected };
    try {
      await call({ apiKey, model, stream });
    } catch (error) {
      line.type = error.constructor.name;
      line.isOwn = error instanceof own;
      line.status = error.status ?? null;
      line.message = `${error.message} ${JSON.stringify(error)}`;
    }
    console.log(JSON.stringify(line));
  }
}
