// A Matrix client of matrix-js-sdk, the SDK of Element Web: reads an order per line, writes an answer per line.
//   node client.mjs FOLDER-WITH-NODE_MODULES
// Keeps nothing; ends with its standard input. Only the answers go to standard output.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// Parts of the SDK speak to the console whatever logger they are given, and what they say would stand among the answers.
for (const word of ["trace", "debug", "log", "info", "warn"]) console[word] = () => {};

const where = createRequire(`${process.argv[2]}/package.json`).resolve("matrix-js-sdk");
const sdk = await import(pathToFileURL(where));
const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error: (...words) => console.error(...words), getChild: () => quiet };

let client = null;

function room(id) {
  const found = client.getRoom(id);
  if (!found) throw new Error(`not in ${id}`);
  return found;
}

// What a timeline shows of an event: an edit and the reactions are taken in by the SDK, as for Element.
function shown(place, event) {
  const content = event.getContent();
  const signs = place.relations.getChildEventsForEvent(event.getId(), "m.annotation", "m.reaction");
  return {
    id: event.getId(),
    sender: event.getSender(),
    name: place.getMember(event.getSender())?.rawDisplayName ?? "",
    kind: content.msgtype ?? "",
    body: content.body ?? "",
    html: content.formatted_body ?? "",
    edited: event.replacingEvent() !== null,
    redacted: event.isRedacted(),
    thread: event.threadRootId ?? "",
    answers: event.replyEventId ?? "",
    signs: Object.fromEntries((signs?.getSortedAnnotationsByKey() ?? []).map(([key, events]) => [key, events.size])),
  };
}

const orders = {
  async login({ homeserver, user, password }) {
    const door = sdk.createClient({ baseUrl: homeserver, logger: quiet });
    const identifier = { type: "m.id.user", user };
    const session = await door.loginRequest({ type: "m.login.password", identifier, password });
    client = sdk.createClient({
      baseUrl: homeserver, userId: session.user_id, deviceId: session.device_id, accessToken: session.access_token, logger: quiet,
      timelineSupport: true,
    });
    const ready = new Promise(resolve => client.on("sync", state => state === "PREPARED" && resolve()));
    await client.startClient({ threadSupport: true, initialSyncLimit: 50, lazyLoadMembers: true });
    await ready;
    return session.user_id;
  },
  async join({ alias }) {
    return (await client.joinRoom(alias)).roomId;
  },
  // The list behind Element's thread button: asked of the homeserver, roots with their bundled relations.
  async threads({ room: id }) {
    const place = room(id);
    await place.createThreadsTimelineSets();
    await place.fetchRoomThreads();
    return place.getThreads().map(thread => ({
      root: shown(place, thread.rootEvent),
      answers: thread.length,
      latest: thread.replyToEvent ? shown(place, thread.replyToEvent) : null,
      joined: thread.hasCurrentUserParticipated,
    }));
  },
  async timeline({ room: id, thread }) {
    const place = room(id);
    // Opened as Element's panel does: what is not known yet of a thread is fetched.
    const opened = thread && (place.getThread(thread) ?? place.createThread(thread, place.findEventById(thread), [], true));
    const events = opened ? opened.events : place.getLiveTimeline().getEvents();
    return events.filter(event => event.getType() === "m.room.message").map(event => shown(place, event));
  },
  // What is sent in a thread goes through the SDK's own words for it: relation and fallback are its, not ours.
  async say({ room: id, thread, text }) {
    return (await client.sendTextMessage(id, thread || null, text)).event_id;
  },
  async answer({ room: id, thread, to, text }) {
    const content = { msgtype: "m.text", body: text, "m.relates_to": { "m.in_reply_to": { event_id: to } } };
    return (await client.sendMessage(id, thread || null, content)).event_id;
  },
  async edit({ room: id, thread, event, text }) {
    const content = {
      msgtype: "m.text", body: `* ${text}`, "m.new_content": { msgtype: "m.text", body: text },
      "m.relates_to": { rel_type: "m.replace", event_id: event },
    };
    return (await client.sendMessage(id, thread || null, content)).event_id;
  },
  async react({ room: id, event, key }) {
    const content = { "m.relates_to": { rel_type: "m.annotation", event_id: event, key } };
    return (await client.sendEvent(id, "m.reaction", content)).event_id;
  },
  async redact({ room: id, event }) {
    return (await client.redactEvent(id, event)).event_id;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { order, ...what } = JSON.parse(line);
  let answer;
  try {
    answer = { answer: await orders[order](what) };
  } catch (problem) {
    answer = { problem: String(problem?.stack ?? problem) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
client?.stopClient();
process.exit(0);
