// Browsers give pages opened from the file system no Web Workers, and the site's search is one. There an invisible frame
// takes the worker's place: it has a global scope of its own, loads the worker's script with a script element, and both
// sides exchange messages. The search script looks for a parent that has `IFrameWorker`.
if (location.protocol === "file:") {
  class IFrameWorker extends EventTarget {
    constructor(address) {
      super();
      const script = new URL(address, location).href;
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.srcdoc = `<script>
        self.importScripts = (...addresses) => Promise.all(addresses.map((address) => new Promise((loaded, failed) => {
          const element = document.createElement("script");
          element.src = address; element.onload = loaded; element.onerror = failed;
          document.head.append(element);
        })));
        self.postMessage = (message) => parent.postMessage({ iframeWorker: message }, "*");
      </script><script src="${script}"></script>`;
      this.ready = new Promise((loaded) => frame.addEventListener("load", () => loaded(frame.contentWindow)));
      addEventListener("message", ({ data, source }) => {
        if (source === frame.contentWindow) this.dispatchEvent(new MessageEvent("message", { data: data.iframeWorker }));
      });
      document.body.append(frame);
    }

    postMessage(message) {
      this.ready.then((worker) => worker.dispatchEvent(new MessageEvent("message", { data: message })));
    }
  }
  window.IFrameWorker = IFrameWorker;
  window.Worker = IFrameWorker;
}
