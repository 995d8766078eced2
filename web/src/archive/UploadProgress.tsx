import type { Progress } from './upload'

const steps: Record<Progress['step'], string> = {
  pack: 'Packing the folder',
  upload: 'Uploading',
  queue: 'Starting the build',
}

export function UploadProgress({ progress }: { progress: Progress }) {
  const percent = Math.round(100 * Math.min(1, progress.part))
  return (
    <div className="flex flex-col gap-1.5">
      <p className="flex justify-between text-sm">
        <span>{steps[progress.step]}</span>
        <span className="tabular text-ink-3">{percent} %</span>
      </p>
      <div
        role="progressbar"
        aria-label={steps[progress.step]}
        aria-valuenow={percent}
        className="h-1.5 overflow-hidden rounded-full bg-hover"
      >
        <div className="h-full rounded-full bg-accent" style={{ width: `${percent}%` }} />
      </div>
    </div>
  )
}
