"use strict";
(() => {
  const runs = JSON.parse(document.getElementById("replay-data").textContent);
  const canvas = document.getElementById("replay-map");
  const button = document.getElementById("replay-play");
  const slider = document.getElementById("replay-time");
  const chosen = document.getElementById("replay-run");
  const speed = document.getElementById("replay-speed");
  const told = document.getElementById("replay-told");
  const scale = document.getElementById("replay-scale");
  const pen = canvas.getContext("2d");
  // from slow to fast, readable on light and dark ground and in grey
  const colours = ["#7b3294", "#3b7dd8", "#159d8a", "#d9a400"];
  let run = runs[0], atS = 0, isPlaying = false, lastMs = null, bounds = null, rates = [0, 1];
  let theme = null;

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function readTheme() {
    theme = { ink: style("--ink"), muted: style("--muted"), ground: style("--page") };
  }

  function choose(place) {
    run = runs[place];
    atS = 0;
    const xs = run.sites.map((site) => site[0]).concat(...run.clients.map((client) => client[2]));
    const ys = run.sites.map((site) => site[1]).concat(...run.clients.map((client) => client[3]));
    bounds = [least(xs), most(xs), least(ys), most(ys)];
    const speeds = run.transfers.map((transfer) => transfer[5]).filter((rate) => rate > 0);
    speeds.sort((a, b) => a - b);
    rates = [0.25, 0.5, 0.75].map((part) => speeds[Math.floor(part * (speeds.length - 1))] || 0);
    const left = run.num_left_out ? ` The last ${run.num_left_out} transfers are left out.` : "";
    scale.textContent = "Rate in Mb/s: ";
    ["up to " + rates[0], "up to " + rates[1], "up to " + rates[2], "above"].forEach((text, place) => {
      const mark = document.createElement("span");
      mark.className = "swatch";
      mark.style.background = colours[place];
      scale.append(mark, ` ${text}  `);
    });
    scale.append(left);
  }

  const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
  const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);

  // place of the last entry whose key is at most the value; -1 before the first
  function before(entries, key, value) {
    let low = 0, high = entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (key(entries[middle]) <= value) low = middle + 1; else high = middle;
    }
    return low - 1;
  }

  function place(client) {
    const [, times, xs, ys] = client;
    const at = before(times, (time) => time, atS);
    if (at < 0) return [xs[0], ys[0]];
    if (at === times.length - 1) return [xs[at], ys[at]];
    const part = (atS - times[at]) / Math.max(times[at + 1] - times[at], 1e-9);
    return [xs[at] + part * (xs[at + 1] - xs[at]), ys[at] + part * (ys[at + 1] - ys[at])];
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const margin = 18;
    const spanX = Math.max(bounds[1] - bounds[0], 1), spanY = Math.max(bounds[3] - bounds[2], 1);
    const zoom = Math.min((width - 2 * margin) / spanX, (height - 2 * margin) / spanY);
    const middleX = (bounds[0] + bounds[1]) / 2, middleY = (bounds[2] + bounds[3]) / 2;
    const screen = (x, y) => [width / 2 + zoom * (x - middleX), height / 2 - zoom * (y - middleY)];
    const { ink, muted, ground } = theme;
    const spots = run.clients.map((client) => screen(...place(client)));
    const sites = run.sites.map((site) => screen(site[0], site[1]));
    const line = (path, x, y) => {
      const site = nearest(x, y, sites);
      if (site) { path.moveTo(x, y); path.lineTo(...site); }
    };
    // all marks of one look are one path: hundreds of strokes of their own would take too long
    const clients = new Path2D(), working = new Path2D(), waiting = new Path2D();
    const looks = colours.map(() => [new Path2D(), new Path2D(), new Path2D()]);
    for (const [x, y] of spots) dot(clients, x, y, 2.2);
    let numUp = 0, numDown = 0, numWaiting = 0, numWorking = 0;
    for (const [client, fromS, toS] of run.work) {
      if (fromS > atS) break;
      if (toS < atS) continue;
      numWorking += 1;
      dot(working, ...spots[client], 6);
    }
    for (const [client, isUp, askedS, startS, endS, rate] of run.transfers) {
      if (askedS > atS) break;
      if (endS < atS) continue;
      const [x, y] = spots[client];
      if (startS > atS) {
        numWaiting += 1;
        line(waiting, x, y);
        continue;
      }
      if (isUp) numUp += 1; else numDown += 1;
      const [lines, sending, receiving] = looks[rates.filter((bound) => rate > bound).length];
      line(lines, x, y);
      dot(isUp ? sending : receiving, x, y, 5);
    }
    const stroke = (path, colour, width) => {
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      pen.stroke(path);
    };
    pen.fillStyle = muted;
    pen.fill(clients);
    stroke(working, muted, 1.4);
    if (numWaiting > 0) {
      pen.setLineDash([4, 4]);
      stroke(waiting, muted, 1);
      pen.setLineDash([]);
    }
    looks.forEach(([lines], place) => stroke(lines, colours[place], 1.6));
    looks.forEach(([, sending, receiving], place) => {
      pen.fillStyle = colours[place];
      pen.fill(sending);
      pen.fillStyle = ground;
      pen.fill(receiving);
      stroke(receiving, colours[place], 2.4);
    });
    pen.fillStyle = ink;
    for (const [x, y] of sites) {
      pen.beginPath(); pen.moveTo(x, y - 8); pen.lineTo(x + 7, y + 6); pen.lineTo(x - 7, y + 6);
      pen.closePath(); pen.fill();
    }
    ruler(zoom, height, ink);
    tell(numUp, numDown, numWaiting, numWorking);
    slider.value = String(Math.round(1000 * atS / run.end_s));
    slider.setAttribute("aria-valuetext", `${atS.toFixed(1)} s`);
  }

  function dot(path, x, y, radius) {
    path.moveTo(x + radius, y);
    path.arc(x, y, radius, 0, 2 * Math.PI);
  }

  function nearest(x, y, sites) {
    let best = null, closest = Infinity;
    for (const site of sites) {
      const away = (site[0] - x) ** 2 + (site[1] - y) ** 2;
      if (away < closest) { closest = away; best = site; }
    }
    return best;
  }

  function ruler(zoom, height, ink) {
    const wanted = 90 / zoom, power = 10 ** Math.floor(Math.log10(wanted));
    const length = [5, 2, 1].map((step) => step * power).find((step) => step <= wanted) || power;
    pen.strokeStyle = pen.fillStyle = ink;
    pen.lineWidth = 1.2;
    pen.beginPath(); pen.moveTo(10, height - 8); pen.lineTo(10 + zoom * length, height - 8); pen.stroke();
    pen.font = "12px system-ui, sans-serif";
    pen.fillText(length >= 1000 ? `${length / 1000} km` : `${length} m`, 10, height - 13);
  }

  function tell(numUp, numDown, numWaiting, numWorking) {
    const at = before(run.rounds, (round) => round[0], atS);
    const round = Math.max(at, 0), [startS, endS, energyJ] = run.rounds[round];
    const beforeJ = round > 0 ? run.rounds[round - 1][2] : 0;
    const part = Math.min(Math.max((atS - startS) / Math.max(endS - startS, 1e-9), 0), 1);
    const joules = beforeJ + part * (energyJ - beforeJ);
    const value = before(run.values, (pair) => pair[0], atS);
    const parts = [
      `${atS.toFixed(1)} s of ${run.end_s.toFixed(1)} s`,
      `round ${round + 1} of ${run.rounds.length}`,
      `${joules.toFixed(0)} J of clients`,
      `${numWorking} computing, ${numWaiting} waiting for access, ${numUp} sending, ${numDown} receiving`,
    ];
    if (value >= 0) parts.push(`${run.metric} ${run.values[value][1].toFixed(3)}`);
    told.textContent = parts.join(" · ");
  }

  function tick(nowMs) {
    if (!isPlaying) return;
    if (lastMs !== null) atS += Number(speed.value) * (nowMs - lastMs) / 1000;
    lastMs = nowMs;
    if (atS >= run.end_s) { atS = run.end_s; play(false); }
    draw();
    if (isPlaying) requestAnimationFrame(tick);
  }

  function play(wanted) {
    isPlaying = wanted;
    lastMs = null;
    button.textContent = wanted ? "Pause" : "Play";
    button.setAttribute("aria-pressed", String(wanted));
    if (wanted && atS >= run.end_s) atS = 0;
    if (wanted) requestAnimationFrame(tick);
  }

  button.addEventListener("click", () => play(!isPlaying));
  slider.addEventListener("input", () => { atS = Number(slider.value) / 1000 * run.end_s; draw(); });
  chosen.addEventListener("change", () => { choose(Number(chosen.value)); draw(); });
  document.getElementById("replay").addEventListener("keydown", (event) => {
    if (event.key === " " && event.target !== button && event.target.tagName !== "SELECT") {
      event.preventDefault();
      play(!isPlaying);
    }
  });
  window.addEventListener("resize", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readTheme();
    draw();
  });
  readTheme();
  choose(0);
  draw();
  // for tests and benchmarks: draws at a time
  window.airtuneReplay = {
    at(seconds) { atS = seconds; draw(); },
  };
})();
