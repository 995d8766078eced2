// FakeEventSource is the browser's event stream with a test at its other end.
export class FakeEventSource extends EventTarget {
  static readonly CLOSED = 2
  private static open: FakeEventSource[] = []

  readonly url: string
  readyState = 1

  constructor(url: string) {
    super()
    this.url = url
    FakeEventSource.open.push(this)
  }

  close(): void {
    this.readyState = FakeEventSource.CLOSED
  }

  send(name: string, data: unknown = {}): void {
    this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(data) }))
  }

  // to finds the open stream of a path.
  static to(path: string): FakeEventSource {
    const found = this.open.findLast(
      ({ url, readyState }) => url.startsWith(path) && readyState === 1,
    )
    if (!found) throw new Error(`no open stream of ${path}`)
    return found
  }

  static forget(): void {
    this.open = []
  }
}
