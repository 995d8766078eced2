import { describe, expect, it } from 'vitest'

import { ApiError, fieldErrors, messageOf, problemToError } from './error'

const response = (status: number, headers: Record<string, string> = {}) =>
  new Response(null, { status, headers })

describe('problemToError', () => {
  it('takes the detail, and the fields', () => {
    const error = problemToError(response(422), {
      title: 'Unprocessable',
      detail: 'two fields are wrong',
      errors: [
        { field: 'name', message: 'is taken' },
        { field: 'body.gitURL', message: 'is no URL' },
        { message: 'of no field' },
      ],
    })
    expect(error).toMatchObject({ status: 422, message: 'Two fields are wrong.' })
    expect(error.fields).toEqual([
      { field: 'name', message: 'is taken' },
      { field: 'gitURL', message: 'is no URL' },
    ])
  })

  it.each([
    ['HTML of a proxy', undefined, 502, 'The control plane is not available.'],
    ['null', null, 404, 'This does not exist, or is not yours.'],
    ['an array', [], 403, 'You are not allowed to do this.'],
    ['an unknown status', {}, 418, 'The control plane answered 418.'],
    ['a title only', { title: 'Gone' }, 410, 'Gone.'],
  ])('makes a sentence of %s', (_, body, status, expected) => {
    expect(problemToError(response(status), body).message).toBe(expected)
  })

  it('says when a rate limit ends', () => {
    const error = problemToError(response(429, { 'Retry-After': '12' }), {
      detail: 'too many deploys',
    })
    expect(messageOf(error)).toBe('Too many deploys. Try again in 12 s.')
  })
})

describe('fieldErrors', () => {
  const error = new ApiError(422, 'Validation failed.', [{ field: 'name', message: 'is taken' }])

  it('puts a problem at its field, and nothing above the form', () => {
    expect(fieldErrors(error, ['name', 'gitURL'])).toEqual({
      of: { name: 'Is taken.' },
      form: undefined,
    })
  })

  it('says above the form what belongs to no field of it', () => {
    expect(fieldErrors(error, ['gitURL'])).toEqual({ of: {}, form: 'Validation failed.' })
    expect(fieldErrors(new Error('offline'), ['name']).form).toBe('offline')
    expect(fieldErrors(null, ['name'])).toEqual({ of: {}, form: undefined })
  })
})
