import type {AlarmResponse} from '../../transport/proto/generated/maintenance.ts';
import {ClientCommand} from '../_shared/client-command.ts';
import {badArguments} from '../_shared/exit.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {alarmView} from '../_shared/views/maintenance.ts';

export default class AlarmList extends ClientCommand<AlarmResponse> {
  static override readonly summary = 'List the alarms: members without space, or with damaged data.';
  static override readonly flags = GLOBAL_FLAGS;
  static override readonly examples = ['<%= config.bin %> alarm list'];

  async run(): Promise<AlarmResponse> {
    const {words} = this.parseClient({});
    if (words.length > 0) throw badArguments('alarm list command accepts no arguments');
    this.use(alarmView);
    const {AlarmRequestAlarmAction} = await import('../../transport/proto/generated/maintenance.ts');
    return (await this.client()).maintenance.alarm({action: AlarmRequestAlarmAction.GET}, this.short);
  }
}
