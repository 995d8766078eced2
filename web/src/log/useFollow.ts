import { useCallback, useEffect, useRef, useState, type RefObject } from 'react'

const nearEnd = 24

type Follow = {
  following: boolean
  follow: () => void
  letGo: () => void
  onScroll: () => void
  missed: number // lines that came since it let go
}

// useFollow keeps the end of a growing list in view, until the person scrolls
// up: then it lets go, and takes hold again at the end. Content that grows
// never moves the list up, so a smaller offset is always the person's doing.
// The last lines come after the word that the log has ended, so following has
// no end of its own.
export function useFollow(
  element: RefObject<HTMLElement | null>,
  lines: number,
  atStart: boolean, // whether it follows from the start
  toEnd: () => void,
): Follow {
  const [following, setFollowing] = useState(atStart)
  const [leftAt, setLeftAt] = useState(0)
  const lastTop = useRef(0)

  useEffect(() => {
    if (following) toEnd()
  }, [following, lines, toEnd])

  const letGo = useCallback(() => {
    setFollowing((was) => {
      if (was) setLeftAt(lines)
      return false
    })
  }, [lines])

  const onScroll = useCallback(() => {
    const list = element.current
    if (!list) return
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < nearEnd
    if (atEnd) setFollowing(true)
    else if (list.scrollTop < lastTop.current - 1) letGo()
    lastTop.current = list.scrollTop
  }, [element, letGo])

  const follow = useCallback(() => {
    setFollowing(true)
    toEnd()
  }, [toEnd])

  return { following, follow, letGo, onScroll, missed: following ? 0 : lines - leftAt }
}
