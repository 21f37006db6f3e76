// Runs an SDK's scenarios one after the other, and prints a line of JSON for each.
//
// The argument is JSON: baseUrl, key, models. A scenario is given a model and its own mark, with
// which everything that it says begins; it answers what the SDK told it.

export const given = JSON.parse(process.argv[2]);
export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
export const PICTURE_URL = given.pictureUrl;
export const INSTRUCTIONS = "be brief";
export const CITY = {
  type: "object",
  properties: { city: { type: "string", description: "its name" } },
  required: ["city"],
  additionalProperties: false,
};
export const WEATHER = { name: "weather", description: "of a city", schema: CITY };
export const REPORT = {
  type: "object",
  properties: {
    city: { type: "string" },
    degrees: { type: "integer" },
    sky: { type: "string", enum: ["clear", "grey"] },
  },
  required: ["city", "degrees", "sky"],
  additionalProperties: false,
};
export const CALLS = 'CALL weather {"city":"Riga"}\nCALL weather {"city":"Oslo"}';

export const weatherOf = ({ city }) => `rain in ${city}`;

let requests = [];
const plainFetch = globalThis.fetch;
globalThis.fetch = async (...asked) => {
  const answer = await plainFetch(...asked);
  requests.push(answer.headers.get("x-request-id"));
  return answer;
};

export async function run(scenarios) {
  for (const model of given.models) {
    for (const [name, scenario] of Object.entries(scenarios)) {
      requests = [];
      const line = { model, scenario: name };
      try {
        line.told = await scenario(model, `${name}@${model}`);
      } catch (error) {
        line.error = {
          type: error.constructor.name,
          status: error.status ?? error.statusCode ?? null,
          message: String(error.message),
        };
      }
      console.log(JSON.stringify({ ...line, requests }));
    }
  }
}
