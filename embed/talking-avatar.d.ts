// Types of <talking-avatar>; docs/embed.md describes what they mean.

export type Mode = 'speak' | 'live' | 'interview';

export type State = 'closed' | 'opening' | 'ready' | 'waiting' | 'speaking' | 'hearing' | 'away';

/** An interview, as POST /api/v2/sessions takes it. */
export interface Interview {
    questions: string[];
    greeting?: string;
    farewell?: string;
    silence?: number;
    patience?: number;
    reminders?: number;
    longest?: number;
}

/** An event of POST /api/v2/lipsync/stream. */
export interface TaskEvent {
    type: string;
    task_id: string;
    video_url?: string;
    captions_url?: string | null;
    duration?: number;
    audio_duration?: number;
    text?: string;
    background?: string;
}

export interface TalkingAvatarEventMap {
    ready: CustomEvent<{ avatar: string }>;
    statechange: CustomEvent<{ state: State }>;
    'turn-started': CustomEvent<{ text?: string; turn?: number; tag: string | null; seconds: number | null }>;
    word: CustomEvent<{ text: string; start: number; end?: number; turn?: number }>;
    'turn-ended': CustomEvent<{ said: string; turn?: number; tag: string | null }>;
    interrupted: CustomEvent<{ said: string; turn?: number | null; tag: string | null }>;
    error: CustomEvent<{ message: string; code: string }>;
    unsaid: CustomEvent<{ text: string }>;
    'session-started': CustomEvent<{ session_id: string }>;
    'session-event': CustomEvent<{ type: string; [field: string]: unknown }>;
    'interview-ended': CustomEvent<{ answers: object[]; recording: string | null; [field: string]: unknown }>;
}

export class TalkingAvatar extends HTMLElement {
    mode: Mode;
    captions: boolean;
    muted: boolean;
    options: Record<string, unknown>;
    interview: Interview | null;
    readonly state: State;
    readonly listening: boolean;
    readonly finished: boolean;
    readonly video: HTMLVideoElement;

    say(text?: string, options?: { tag?: string }): Promise<boolean>;
    chat(text: string): Promise<boolean>;
    interrupt(): void;
    listen(on?: boolean): Promise<boolean>;
    start(): Promise<boolean>;
    next(): boolean;
    conclude(): Promise<object | null | undefined>;
    close(): void;
    play(event: TaskEvent): void;
    putBack(event: TaskEvent): void;
    replay(): void;

    addEventListener<Kind extends keyof TalkingAvatarEventMap>(
        type: Kind,
        listener: (this: TalkingAvatar, event: TalkingAvatarEventMap[Kind]) => void,
        options?: boolean | AddEventListenerOptions,
    ): void;
    addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}

declare global {
    interface HTMLElementTagNameMap {
        'talking-avatar': TalkingAvatar;
    }
}
