// What only the browser itself can do: notice that the page is blind, and sound.
//
// Theory of operation. The station sends a beat every second, through all that a message passes on its way to this page. Without one for
// BLIND_MS the page is blind, whatever the connection claims, and says so; it never reloads itself before the station answers, since a
// browser's own error page would look at nobody. An alarm sounds until the beat says that it is acknowledged. Beats also keep the
// rhythm, as browsers slow down the timers of pages that nobody looks at.

(() => {
  const BLIND_MS = 5000; // five beats
  const RELOAD_MS = 10000; // blind for this long, and the station answers: begin anew
  const PERIOD_S = { alarm: 4.5, look: 15, blind: 10 };
  // [begin, length] in s. The alarm is the ten-pulse burst of IEC 60601-1-8, three and two, twice: what the wearer hears too.
  const RHYTHM = {
    alarm: [0, 0.25, 0.5, 0.9, 1.15, 1.85, 2.1, 2.35, 2.75, 3.0].map((at) => [at, 0.15]),
    look: [[0, 0.2], [0.4, 0.2]],
    blind: [[0, 0.4], [0.6, 0.4], [1.2, 0.4]],
    ready: [[0, 0.12], [0.16, 0.2]],
  };
  const PITCH = { alarm: 520, look: 440, blind: 330, ready: 660 }; // Hz; older ears lose 2-4 kHz
  const words = JSON.parse(document.getElementById("station-words").textContent);

  let context = null;
  let beat = { sound: null, title: words.title, chimes: 0 };
  let heard = Date.now();
  let next = 0; // audio time of the next burst
  let playing = null; // what the last burst was
  let reloading = false;
  const began = Date.now();

  const $ = (id) => document.getElementById(id);
  const audible = () => context !== null && context.state === "running";
  const put = (element, text) => element && element.textContent !== text && (element.textContent = text);

  function burst(kind) {
    const at = context.currentTime + 0.03;
    for (const [begin, length] of RHYTHM[kind]) {
      const tone = context.createOscillator();
      const gain = context.createGain();
      tone.type = kind === "alarm" ? "square" : "triangle";
      tone.frequency.value = PITCH[kind];
      gain.gain.setValueAtTime(0, at + begin);
      gain.gain.linearRampToValueAtTime(kind === "ready" ? 0.15 : 0.5, at + begin + 0.012);
      gain.gain.setValueAtTime(kind === "ready" ? 0.15 : 0.5, at + begin + length - 0.012);
      gain.gain.linearRampToValueAtTime(0, at + begin + length);
      tone.connect(gain).connect(context.destination);
      tone.start(at + begin);
      tone.stop(at + begin + length + 0.02);
    }
    if (kind === "alarm" && navigator.vibrate) navigator.vibrate([400, 200, 400]);
  }

  function blind() {
    return Date.now() - heard > BLIND_MS;
  }

  function look() {
    const lost = blind();
    const kind = lost ? (beat.sound === "alarm" ? "alarm" : "blind") : beat.sound;
    document.body.classList.toggle("blind", lost);
    const banner = $("blind-page");
    if (banner) {
      banner.hidden = !lost;
      if (lost) put($("blind-page-text"), words.blind.replace("{ago}", ago((Date.now() - heard) / 1000)));
    }
    document.title = lost ? words.blind_title : beat.title;
    document.body.dataset.alarm = kind === null ? "none" : kind === "look" ? "soft" : "loud";
    const hush = $("hush");
    if (hush) hush.hidden = audible();
    const on = $("sound-on");
    if (on) on.hidden = !audible();
    sound(kind);
    if (lost && !reloading && Date.now() - heard > RELOAD_MS && Date.now() - began > RELOAD_MS) whenItAnswers();
  }

  function sound(kind) {
    document.body.dataset.sounding = kind !== null && audible() ? kind : "no";
    if (!audible()) return;
    if (kind === null) {
      playing = null;
      return;
    }
    if (kind !== playing || context.currentTime >= next) {
      playing = kind;
      next = context.currentTime + PERIOD_S[kind];
      burst(kind);
    }
  }

  function ago(seconds) {
    const whole = Math.floor(seconds);
    const span = whole < 60 ? words.seconds.replace("{count}", whole) : words.minutes.replace("{count}", Math.floor(whole / 60));
    return words.ago.replace("{duration}", span);
  }

  // A touch or a key anywhere is what browsers ask for before a page may sound.
  function enable() {
    if (audible()) return;
    context = context ?? new (window.AudioContext || window.webkitAudioContext)();
    context.onstatechange = look;
    context.resume().then(() => {
      burst("ready");
      look();
    });
  }

  function reload() {
    reloading = true;
    window.location.reload();
  }

  async function whenItAnswers() {
    reloading = true;
    try {
      const answer = await fetch(window.location.href, { cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (answer.ok) return reload();
    } catch (error) {
      console.log("the station does not answer: " + error);
    }
    setTimeout(() => (reloading = false), 3000);
  }

  // NiceGUI reloads at once when a connection attempt times out: with no network that would end in the browser's error page.
  function tame(socket) {
    socket.off("connect_error");
    socket.on("connect_error", (error) => {
      if (error.message === "Implicit handshake failed" && !reloading) whenItAnswers();
    });
  }

  window.station = {
    beat(now) {
      if (now.chimes > beat.chimes && now.sound === null && audible()) burst("look"); // somebody has become more urgent: once
      beat = now;
      heard = Date.now();
      look();
    },
    get audible() {
      return audible();
    },
  };

  const untamed = setInterval(() => {
    if (window.socket) {
      clearInterval(untamed);
      tame(window.socket);
    }
  }, 50);
  for (const gesture of ["pointerdown", "touchend", "keydown", "click"]) document.addEventListener(gesture, enable, true);
  document.addEventListener("visibilitychange", look);
  window.addEventListener("online", look);
  setInterval(look, 500);
  try {
    context = new (window.AudioContext || window.webkitAudioContext)(); // runs at once where the browser allows it
    context.onstatechange = look;
  } catch (error) {
    console.log("no sound before a touch: " + error);
  }
})();
