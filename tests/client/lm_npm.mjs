// The clients of OpenAI, Anthropic and Ollama against the server of test_lm_npm.py: prints `ok NAME` or `not ok NAME<tab>why`.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import OpenAI from "openai";

const url = process.argv[2];
const openai = new OpenAI({ baseURL: url + "/v1", apiKey: "none", maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey: "none", maxRetries: 0 });
const ollama = new Ollama({ host: url });
const messages = [{ role: "user", content: "What is the capital of France? Answer in one sentence." }];
const ask = { model: "smol", messages, temperature: 0, max_tokens: 16 };
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const tools = [{ type: "function", function: { name: "weather", description: "The weather of a city.", parameters } }];
const schema = {
    type: "object", additionalProperties: false, required: ["name", "age"],
    properties: { name: { type: "string", maxLength: 12 }, age: { type: "integer", minimum: 0, maximum: 150 } },
};

const cases = {
    async "openai: chat, whole and streamed with usage"() {
        const whole = await openai.chat.completions.create(ask);
        assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);
        let text = "", usage;
        for await (const chunk of await openai.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })) {
            text += chunk.choices[0]?.delta?.content ?? "";
            usage = chunk.usage ?? usage;
        }
        assert.equal(text, whole.choices[0].message.content);
        assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
    },
    async "openai: tools"() {
        const whole = await openai.chat.completions.create({ ...ask, model: "caller", max_tokens: 100, tools });
        assert.equal(whole.choices[0].finish_reason, "tool_calls");
        assert.deepEqual(JSON.parse(whole.choices[0].message.tool_calls[0].function.arguments), { city: "Rome" });
        const stream = openai.chat.completions.stream({ ...ask, model: "caller", max_tokens: 100, tools });
        const last = await stream.finalChatCompletion();
        assert.equal(last.choices[0].message.tool_calls[0].function.name, "weather");
        assert.deepEqual(JSON.parse(last.choices[0].message.tool_calls[0].function.arguments), { city: "Rome" });
    },
    async "openai: a forced call"() {
        const r = await openai.chat.completions.create({ ...ask, max_tokens: 60, tools, tool_choice: { type: "function", function: { name: "weather" } } });
        assert.equal(r.choices[0].message.tool_calls[0].function.name, "weather");
        assert.equal(typeof JSON.parse(r.choices[0].message.tool_calls[0].function.arguments).city, "string");
    },
    async "openai: json_schema"() {
        const r = await openai.chat.completions.create({
            ...ask, max_tokens: 60, response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema } },
        });
        const person = JSON.parse(r.choices[0].message.content);
        assert.deepEqual(Object.keys(person), ["name", "age"]);
        assert.ok(Number.isInteger(person.age) && person.age >= 0 && person.age <= 150);
    },
    async "openai: a schema with a keyword that is not known"() {
        const bad = { type: "object", properties: { a: { type: "integer", multipleOf: 3 } } };
        await assert.rejects(openai.chat.completions.create({ ...ask, response_format: { type: "json_schema", json_schema: { name: "x", schema: bad } } }),
            (e) => e.status === 400 && /multipleOf/.test(e.message));
    },
    async "openai: embeddings, floats and base64"() {
        const input = ["the sky is blue", "blue"];
        const floats = await openai.embeddings.create({ model: "encoder", input, encoding_format: "float" });
        const packed = await openai.embeddings.create({ model: "encoder", input }); // the client asks for base64 and unpacks it
        assert.equal(floats.data.length, 2);
        for (let i = 0; i < 2; i++) {
            assert.equal(floats.data[i].embedding.length, 64);
            packed.data[i].embedding.forEach((x, k) => assert.ok(Math.abs(x - floats.data[i].embedding[k]) < 1e-6));
        }
    },
    async "openai: responses"() {
        const r = await openai.responses.create({ model: "smol", input: messages[0].content, temperature: 0, max_output_tokens: 16 });
        let text = "";
        for await (const e of await openai.responses.create({ model: "smol", input: messages[0].content, temperature: 0, max_output_tokens: 16, stream: true }))
            text += e.type === "response.output_text.delta" ? e.delta : "";
        assert.equal(text, r.output_text);
    },
    async "openai: cancel"() {
        const stream = await openai.chat.completions.create({ ...ask, max_tokens: 4000, stream: true, ignore_eos: true });
        for await (const _ of stream)
            break; // which aborts the request
        const start = Date.now();
        await openai.chat.completions.create({ ...ask, max_tokens: 1 });
        assert.ok(Date.now() - start < 10000, "the next one waited behind it");
    },
    async "anthropic: messages, streamed, tools"() {
        const whole = await anthropic.messages.create({ model: "smol", max_tokens: 16, messages, temperature: 0 });
        const stream = anthropic.messages.stream({ model: "smol", max_tokens: 16, messages, temperature: 0 });
        assert.equal((await stream.finalMessage()).content[0].text, whole.content[0].text);
        const call = await anthropic.messages.create({
            model: "caller", max_tokens: 100, messages, temperature: 0, tools: [{ name: "weather", description: "The weather.", input_schema: parameters }],
        });
        assert.equal(call.stop_reason, "tool_use");
        assert.deepEqual(call.content.find((c) => c.type === "tool_use").input, { city: "Rome" });
    },
    async "ollama: chat, streamed, format, embed"() {
        const options = { temperature: 0, num_predict: 16 };
        const whole = await ollama.chat({ model: "smol", messages, options });
        let text = "";
        for await (const part of await ollama.chat({ model: "smol", messages, options, stream: true }))
            text += part.message.content;
        assert.equal(text, whole.message.content);
        const person = await ollama.chat({ model: "smol", messages, options: { ...options, num_predict: 60 }, format: schema });
        assert.deepEqual(Object.keys(JSON.parse(person.message.content)), ["name", "age"]);
        assert.equal((await ollama.embed({ model: "encoder", input: ["the sky"] })).embeddings[0].length, 64);
    },
};

for (const [name, run] of Object.entries(cases)) {
    try {
        await run();
        console.log("ok " + name);
    } catch (e) {
        console.log("not ok " + name + "\t" + String(e.stack ?? e).replaceAll("\n", " | ").slice(0, 800));
    }
}
