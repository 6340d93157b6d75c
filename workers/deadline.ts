/** Rejects when a promise has not settled after `deadlineMs`; what it does afterwards goes on in the background and is not an error. */
export async function within<T>(
  promise: Promise<T>,
  deadlineMs: number,
  background: (promise: Promise<unknown>) => void = () => {},
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DeadlineExceeded(deadlineMs)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } catch (error) {
    if (error instanceof DeadlineExceeded) background(Promise.allSettled([promise]));
    throw error;
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
}

export class DeadlineExceeded extends Error {
  override readonly name = "DeadlineExceeded";

  constructor(deadlineMs: number) {
    super(`no answer within ${deadlineMs} ms`);
  }
}
